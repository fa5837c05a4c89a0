// Makes the sound: oscillators for notes, the browser's voice for speech; notes step back while it speaks.
//
// Owns the AudioContext, which is made only once sound has been switched on by hand.

import type { Note } from "./notes";

/** Notes are this loud while a voice speaks. */
const DUCKED = 0.25;
/** Sentences that may wait for the voice; older ones are stale by then. */
const WAITING = 2;

export class SoundEngine {
  #context: AudioContext | null = null;
  #master: GainNode | null = null;
  #volume = 0.4;
  #speaking = 0;

  setVolume(volume: number): void {
    this.#volume = volume;
    this.#level();
  }

  play(note: Note): void {
    const context = (this.#context ??= new AudioContext());
    const master = (this.#master ??= this.#makeMaster(context));
    if (context.state === "suspended") void context.resume();
    const [oscillator, gain] = [context.createOscillator(), context.createGain()];
    const now = context.currentTime;
    oscillator.type = note.wave;
    oscillator.frequency.value = note.pitch;
    gain.gain.setValueAtTime(0, now);
    gain.gain.linearRampToValueAtTime(0.22, now + 0.012);
    gain.gain.exponentialRampToValueAtTime(0.001, now + note.seconds);
    oscillator.connect(gain).connect(master);
    oscillator.start(now);
    oscillator.stop(now + note.seconds + 0.02);
  }

  /** False when the sentence was dropped because the voice is behind. */
  say(sentence: string): boolean {
    if (!("speechSynthesis" in window) || this.#speaking >= WAITING) return false;
    const words = new SpeechSynthesisUtterance(sentence);
    words.lang = "en";
    words.volume = this.#volume;
    words.onend = words.onerror = () => {
      this.#speaking = Math.max(0, this.#speaking - 1);
      this.#level();
    };
    this.#speaking += 1;
    this.#level();
    window.speechSynthesis.speak(words);
    return true;
  }

  silence(): void {
    if ("speechSynthesis" in window) window.speechSynthesis.cancel();
    this.#speaking = 0;
    void this.#context?.close();
    this.#context = null;
    this.#master = null;
  }

  #makeMaster(context: AudioContext): GainNode {
    const master = context.createGain();
    master.gain.value = this.#volume;
    master.connect(context.destination);
    return master;
  }

  #level(): void {
    const level = this.#volume * (this.#speaking > 0 ? DUCKED : 1);
    if (this.#context) this.#master?.gain.setTargetAtTime(level, this.#context.currentTime, 0.05);
  }
}
