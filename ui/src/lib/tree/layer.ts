// The still part of the tree as a bitmap a little larger than the view: panning and pulses only copy it.
//
// It is drawn anew when something on it has changed, or when the view leaves it.

import { paintMoving, paintStill, type Scene } from "./paint";

/** How far beyond each edge of the view it reaches, as a share of the view. */
const MARGIN = 0.3;
/** Fewer nodes than this are drawn faster than a bitmap of them is copied. */
const WORTH_IT = 400;

export class TreeLayer {
  #canvas: HTMLCanvasElement | null = null;
  #drawn: { scene: Scene; dpr: number } | null = null;

  /** Draws a frame. */
  paint(context: CanvasRenderingContext2D, scene: Scene, dpr: number): void {
    const { view, layout } = scene;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, view.width * dpr, view.height * dpr);
    if (layout.nodes.length < WORTH_IT) paintStill(context, scene, dpr);
    else this.#copy(context, scene, dpr);
    paintMoving(context, scene, dpr);
  }

  #copy(context: CanvasRenderingContext2D, scene: Scene, dpr: number): void {
    const { width, height, x, y } = scene.view;
    const [mx, my] = [Math.round(width * MARGIN), Math.round(height * MARGIN)];
    if (!this.#fits(scene, dpr, mx, my)) this.#draw(scene, dpr, mx, my);
    const from = this.#drawn?.scene.view;
    if (!this.#canvas || !from) return;
    context.drawImage(this.#canvas, Math.round((x - from.x - mx) * dpr), Math.round((y - from.y - my) * dpr));
  }

  #fits(scene: Scene, dpr: number, mx: number, my: number): boolean {
    const before = this.#drawn;
    if (!before || before.dpr !== dpr) return false;
    const [a, b] = [before.scene, scene];
    const same =
      a.layout === b.layout &&
      a.colors === b.colors &&
      a.matched === b.matched &&
      a.looks === b.looks &&
      a.selected === b.selected;
    const [u, v] = [a.view, b.view];
    return (
      same &&
      u.k === v.k &&
      u.width === v.width &&
      u.height === v.height &&
      Math.abs(u.x - v.x) <= mx &&
      Math.abs(u.y - v.y) <= my
    );
  }

  #draw(scene: Scene, dpr: number, mx: number, my: number): void {
    const canvas = (this.#canvas ??= document.createElement("canvas"));
    const { view } = scene;
    const wide = {
      ...view,
      x: view.x + mx,
      y: view.y + my,
      width: view.width + 2 * mx,
      height: view.height + 2 * my,
    };
    const [w, h] = [Math.round(wide.width * dpr), Math.round(wide.height * dpr)];
    const context = canvas.getContext("2d");
    if (!context) return;
    if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    else {
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, w, h);
    }
    paintStill(context, { ...scene, view: wide }, dpr);
    this.#drawn = { scene, dpr };
  }
}
