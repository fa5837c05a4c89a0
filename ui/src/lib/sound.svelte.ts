// Joins the event stream with the sound: notes, sentences and their captions, only while switched on.

import type { TreeNode } from "./api";
import { live } from "./live.svelte";
import { settings } from "./settings.svelte";
import { SoundEngine } from "./sound/engine";
import { levelOf, Limiter, noteOf } from "./sound/notes";
import { Quarters, spoken } from "./sound/speech";

/** A caption stays this long after its sentence was begun. */
const CAPTION_MS = 6000;

export const captions: { text: string } = $state({ text: "" });

/** Plays for as long as the calling component lives and sound is on. */
export function playSwarm(): void {
  $effect(() => {
    if (!settings.sound && !settings.speech) return;
    const [engine, limiter] = [new SoundEngine(), new Limiter()];
    $effect(() => engine.setVolume(settings.volume));
    let clearing: ReturnType<typeof setTimeout> | undefined;
    const stop = live.onEvent((event) => {
      const name = event.data["agent"] ?? event.data["actor"];
      const node = live.snapshot?.tree.find((one) => one.name === name && one.kind === "worker");
      const note = settings.sound ? noteOf(event, node, settings.muted_levels) : null;
      if (note && limiter.allow(note.agent, performance.now())) engine.play(note);
      if (node) say(spoken(event), node);
    });
    const say = (sentence: string | null, node: TreeNode) => {
      if (
        !settings.speech ||
        sentence === null ||
        settings.muted_levels.includes(levelOf(node)) ||
        !engine.say(sentence)
      )
        return;
      captions.text = sentence;
      clearTimeout(clearing);
      clearing = setTimeout(() => (captions.text = ""), CAPTION_MS);
    };
    // Progress has no event of its own: it is read off the pictures, and told once a quarter.
    const quarters = new Quarters();
    $effect(() => {
      for (const { sentence, node } of quarters.passed(live.snapshot?.tree ?? [])) say(sentence, node);
    });
    return () => {
      stop();
      clearTimeout(clearing);
      captions.text = "";
      engine.silence();
    };
  });
}
