// What a page must say, from the manifests and labels of the outputs alone.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The last row of every picture of `outputs`, with its boxes by class. */
export function rowsOf(outputs, classes) {
  return outputs.flatMap(output => {
    const manifests = readdirSync(output).filter(name => /^manifest(\.\d+-of-\d+)?\.jsonl$/.test(name)).sort();
    const lines = manifests.flatMap(name => readFileSync(join(output, name), 'utf8').trimEnd().split('\n'));
    const rows = new Map(lines.map(line => JSON.parse(line)).map(row => [row.output, row]));
    return [...rows.values()].map(row => ({ ...row, folder: output, objects: objects(output, row, classes) }));
  });
}

function objects(output, row, classes) {
  const label = row.label && join(output, row.label);
  if (!label || !existsSync(label)) return [];
  const lines = readFileSync(label, 'utf8').split(/\r?\n/).map(line => line.trim().split(/\s+/));
  const boxes = lines.filter(words => words.length === 5 && words.slice(1).every(word => Number.isFinite(+word)));
  return boxes.map(([id], index) => ({ ...row.boxes?.[index], class: classes[id] ?? id }));
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const percent = (part, whole) => `${(100 * part.length / whole.length).toFixed(1)} %`;
const isFaint = box => box.contrast < 0.15;

/** The figures of the head, by their names there. */
export function head(rows) {
  const done = rows.filter(row => row.status === 'done');
  const boxes = rows.flatMap(row => row.objects);
  const lines = rows.reduce((sum, row) => sum + (row.malformed_labels ?? 0), 0);
  const eased = boxes.filter(box => box.eased);
  const figures = {
    done: String(done.length),
    failed: String(rows.length - done.length),
    'median per frame': `${median(done.map(row => row.seconds)).toFixed(2)} s`,
    boxes: String(boxes.length),
    'worst edges': Math.min(...rows.map(row => row.box_edges_min ?? Infinity)).toFixed(2),
    'contrast under 0.15': `${percent(boxes.filter(isFaint), boxes)} of boxes`,
  };
  if (eased.length) figures['restored by the guard'] = `${percent(eased, boxes)} of boxes`;
  if (lines) figures['label lines not understood'] = String(lines);
  return figures;
}

/** A line of a table: rows, boxes, median edges and contrast, share of faint boxes. */
export function line(rows, boxes) {
  const middle = key => (boxes.length ? median(boxes.map(box => box[key])).toFixed(2) : '–');
  return [String(rows), String(boxes.length), middle('edges'), middle('contrast'),
    boxes.length ? percent(boxes.filter(isFaint), boxes) : '–'];
}

export function byClass(rows) {
  const names = [...new Set(rows.flatMap(row => row.objects.map(box => box.class)))];
  return Object.fromEntries(names.map(name => {
    const own = row => row.objects.filter(box => box.class === name);
    return [name, line(rows.filter(row => own(row).length).length, rows.flatMap(own))];
  }));
}
