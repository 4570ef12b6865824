"use strict";
// Places names beside their points so that nothing overlaps; a name without room gives way to its number, or to none.
const RADII = [12, 20, 32, 48, 68];
const ANGLES = Array.from({ length: 16 }, (_, i) => (i * Math.PI) / 8);

const overlap = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

// `points`: {x, y, texts} in pixels, y downwards, the preferred text first; `marks`: boxes that stay uncovered;
// `lines`: boxes that had better stay so.
aero.placeLabels = (points, frame, marks, lines) => {
  const placed = [];
  for (const point of points) {
    const [text, ...shorter] = point.texts;
    const found = placeOne({ ...point, texts: [text] }, frame, [...marks, ...lines], placed)
      || placeOne({ ...point, texts: shorter }, frame, [...marks, ...lines], placed)
      || placeOne(point, frame, marks, placed);
    if (found) placed.push({ ...found, point });
  }
  return placed;
};

const placeOne = (point, frame, marks, placed) => {
  for (const text of point.texts) {
    const lines = text.split("\n");
    const w = Math.max(...lines.map((line) => line.length)) * 6.5 + 6;
    const h = lines.length * 14 + 2;
    for (const radius of RADII) {
      for (const angle of ANGLES) {
        const [cos, sin] = [Math.cos(angle), -Math.sin(angle)];
        const side = (part) => Math.max(-1, Math.min(1, 1.6 * part));
        const box = {
          x: point.x + radius * cos - (w * (1 - side(cos))) / 2,
          y: point.y + radius * sin - (h * (1 - side(sin))) / 2,
          w, h,
        };
        const inside = box.x >= 2 && box.y >= 2 && box.x + w <= frame.w - 2 && box.y + h <= frame.h - 2;
        if (!inside || marks.some((mark) => overlap(box, mark)) || placed.some((p) => overlap(box, p.box))) continue;
        return { box, text, far: radius > 20 };
      }
    }
  }
  return null;
};
