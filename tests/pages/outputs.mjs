// A small dataset and what the program makes of it: previews, outputs of several shards, a report.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = resolve(fileURLToPath(import.meta.url), '../../..');

// A class and files whose names are markup: on the page they must stay names.
export const CLASSES = ['car', '<i>truck</i>', 'pedestrian', 'traffic light'];
export const MARKUP = ['<img src=x onerror=alert(1)>.jpg', "<!--<script> & 'quotes' \"too\".jpg"];
export const BROKEN = ['broken <b>.jpg', 'broken too.jpg'];

/** Makes everything below `place` and says where the pages are. */
export function make(program, place) {
  const run = (args, ...expected) => {
    const done = spawnSync(program, args, { cwd: place, encoding: 'utf8' });
    assert.ok(expected.includes(done.status), `augment ${args.join(' ')}\n${done.error ?? done.stderr}`);
  };
  dataset(join(place, 'drive'));
  const quick = ['--weights', 'builtin', '--set', 'stylize.size=128', '--set', 'stylize.steps=3', '--quiet'];
  const config = name => ['--config', join(repository, `configs/${name}.yaml`)];
  run(['preview', ...config('fog'), 'drive', ...quick, '--frames', '99'], 3);
  run([...config('fog'), 'drive', ...quick], 3);
  shards(join(place, 'drive-fog'));
  for (const part of [1, 2]) {
    // A broken frame may be of either part.
    run([...config('night'), 'drive', ...quick, '--shard', `${part}/2`, '--output', `night-${part}`], 0, 3);
  }
  const outputs = ['drive-fog', 'night-1', 'night-2'].map(name => join(place, name));
  const lost = lose(outputs[0]);
  run(['report', 'drive-fog', 'night-1', 'night-2', '--output', 'report.html'], 0);
  return {
    preview: join(place, 'drive-fog-preview/preview.html'), previewed: [join(place, 'drive-fog-preview')],
    report: join(place, 'report.html'), outputs, lost,
  };
}

function dataset(folder) {
  cpSync(join(repository, 'tests/fixtures/streets'), folder, { recursive: true });
  writeFileSync(join(folder, 'data.yaml'),
    `train: images/train\nval: images/val\nnames: ${JSON.stringify(CLASSES)}\n`);
  const images = join(folder, 'images/train');
  const labels = join(folder, 'labels/train');
  for (const name of MARKUP) {
    cpSync(join(images, 'town_noon.jpg'), join(images, name));
    cpSync(join(labels, 'town_noon.txt'), join(labels, name.replace(/jpg$/, 'txt')));
  }
  for (const name of BROKEN) writeFileSync(join(images, name), 'no picture');
  const text = readFileSync(join(labels, 'town_crossing.txt'), 'utf8');
  writeFileSync(join(labels, 'town_crossing.txt'), `${text.trimEnd()}\nno box\n`);
}

// As a run over shards has them while it lasts: rows in manifests of their own.
function shards(output) {
  const manifest = join(output, 'manifest.jsonl');
  const rows = readFileSync(manifest, 'utf8').trimEnd().split('\n');
  for (const part of [0, 1]) {
    const own = rows.filter((_, index) => index % 2 === part);
    writeFileSync(join(output, `manifest.${part + 1}-of-2.jsonl`), `${own.join('\n')}\n`);
  }
  rmSync(manifest);
}

// A picture that is gone before the report is made has no address there.
function lose(output) {
  const folder = join(output, 'images/train');
  const name = readdirSync(folder).find(file => file.startsWith('highway_morning'));
  rmSync(join(folder, name));
  return name;
}
