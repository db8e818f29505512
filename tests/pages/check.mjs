// Both pages in a real browser, made by the real program: `node check.mjs PROGRAM [FOLDER for screenshots]`.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { byClass, head, line, rowsOf } from './figures.mjs';
import { BROKEN, CLASSES, MARKUP, make } from './outputs.mjs';

const [program, shots = 'target/pages'] = process.argv.slice(2);
assert.ok(program, 'node check.mjs PROGRAM [FOLDER for screenshots]');
const DESK = { width: 1400, height: 1000 };
const PHONE = { width: 360, height: 740 };
const ROWS = 10_000;

const complaints = [];
// Addresses of pictures that a check has taken away.
const gone = new Set();
const ok = text => console.log(`ok  ${text}`);

async function open(browser, file, { size = DESK, scheme = 'light', hash = '', touch = false } = {}) {
  const context = await browser.newContext({ viewport: size, colorScheme: scheme, hasTouch: touch, offline: true });
  const page = await context.newPage();
  const complain = text => complaints.push(`${basename(file)}: ${text}`);
  page.on('pageerror', error => complain(error.message));
  page.on('dialog', dialog => { complain(`dialog ${dialog.message()}`); dialog.dismiss(); });
  page.on('console', message => {
    const expected = [...gone].some(address => message.location().url.endsWith(address));
    if (message.type() !== 'log' && !expected) complain(message.text());
  });
  page.on('request', request => {
    if (!/^(file|data|blob):/.test(request.url())) complain(`asked for ${request.url()}`);
  });
  page.begun = performance.now();
  await page.goto(pathToFileURL(file).href + hash, { waitUntil: 'commit' });
  await page.waitForSelector('#count:not(:empty)');
  return page;
}

const counted = page => page.locator('.card').count();
const at = stage => stage.evaluate(node => node.style.getPropertyValue('--at'));
const choose = (page, name, value) => page.locator(`[name=${name}]`).selectOption(value);

async function search(page, text) {
  await page.locator('[name=q]').fill(text);
  await page.waitForFunction(q => new URLSearchParams(location.hash.slice(1)).get('q') === (q || null), text);
  return counted(page);
}

function dataOf(file) {
  return readFileSync(file, 'utf8').match(/id="data">(.*?)<\/script>/s)[1];
}

// --- What the checks are.

async function checkFigures(page, rows, name) {
  const texts = nodes => nodes.map(node => [...node.children].map(child => child.textContent));
  const shown = await page.$$eval('#figures > div', texts);
  assert.deepEqual(Object.fromEntries(shown), head(rows));
  const tables = await page.$$eval('#tables table', nodes => nodes.map(table => [
    table.querySelector('th').textContent,
    [...table.querySelectorAll('tbody tr')].map(row => [...row.cells].map(cell => cell.textContent)),
  ]));
  const { Class: classes, Output: outputs } = Object.fromEntries(tables);
  const named = lines => Object.fromEntries(lines.map(([first, ...rest]) => [first, rest]));
  assert.deepEqual(named(classes), byClass(rows));
  const sum = (lines, column) => lines.reduce((all, cells) => all + Number(cells[column]), 0);
  const boxes = rows.flatMap(row => row.objects);
  assert.equal(sum(classes, 2), boxes.length);
  if (outputs) {
    const own = folder => rows.filter(row => row.folder.endsWith(folder));
    for (const [folder, ...cells] of outputs) {
      assert.deepEqual(cells, line(own(folder).length, own(folder).flatMap(row => row.objects)), folder);
    }
    assert.deepEqual([sum(outputs, 1), sum(outputs, 2)], [rows.length, boxes.length]);
  }
  ok(`${name}: head and tables are those of the manifests (${rows.length} rows, ${boxes.length} boxes)`);
}

async function checkCards(page, rows, name) {
  const cards = await page.$$eval('.card', nodes => nodes.map(card => ({
    name: card.querySelector('h3').textContent,
    folder: card.querySelector('.title .muted').textContent,
    numbers: Object.fromEntries([...card.querySelectorAll('.numbers > div')].map(
      node => [node.children[0].textContent, node.children[1].textContent])),
    boxes: card.querySelectorAll('.box').length,
    error: card.querySelector('.error')?.textContent,
  })));
  assert.equal(cards.length, rows.length);
  for (const card of cards) {
    const row = rows.find(one => basename(one.output) === card.name && card.folder.includes(basename(one.folder)));
    assert.ok(row, `no row for ${card.name}`);
    assert.equal(card.boxes, row.objects.length, card.name);
    if (row.status === 'failed') {
      assert.equal(card.error, `Failed: ${row.error}`);
      continue;
    }
    const said = { 'worst edges': row.box_edges_min?.toFixed(2), time: `${row.seconds.toFixed(2)} s`,
      strength: row.strength.toFixed(2), 'content loss': String(+row.content_loss.toPrecision(3)),
      'style loss': String(+row.style_loss.toPrecision(3)),
      'style loss left': String(+(row.style_loss / row.first_style_loss).toPrecision(3)) };
    for (const [key, value] of Object.entries(said)) assert.equal(card.numbers[key], value, `${card.name}: ${key}`);
  }
  ok(`${name}: ${cards.length} cards, each with the figures of its row`);
}

async function checkSlider(page) {
  const card = page.locator('.card:has(img.result)').first();
  const [stage, range] = [card.locator('.pair'), card.locator('.compare')];
  const clip = () => card.locator('img.result').evaluate(node => getComputedStyle(node).clipPath);
  await stage.scrollIntoViewIfNeeded();
  const before = await clip();
  const { x, y, width, height } = await stage.boundingBox();
  await page.mouse.move(x + 20, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width * 0.8, y + height / 2, { steps: 4 });
  await page.mouse.up();
  assert.equal(await at(stage), '80%');
  assert.notEqual(await clip(), before);
  await range.focus();
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('ArrowLeft');
  assert.equal(await at(stage), '78%');
  await page.keyboard.press('Home');
  assert.equal(await at(stage), '0%');
  ok('slider follows mouse and keys');
}

async function checkTouch(browser, file) {
  const page = await open(browser, file, { size: PHONE, touch: true });
  const stage = page.locator('.card:has(img.result) .pair').first();
  await stage.evaluate(node => node.scrollIntoView({ block: 'center' }));
  const { x, y, width, height } = await stage.boundingBox();
  const cdp = await page.context().newCDPSession(page);
  const touch = (type, share) => cdp.send('Input.dispatchTouchEvent',
    { type, touchPoints: share === null ? [] : [{ x: x + width * share, y: y + height * 0.7 }] });
  await touch('touchStart', 0.3);
  for (const share of [0.4, 0.5, 0.6, 0.7]) await touch('touchMove', share);
  await touch('touchEnd', null);
  assert.equal(await at(stage), '70%');
  await page.screenshot({ path: join(shots, 'touch.png') });
  await page.context().close();
  ok('slider follows a finger');
}

async function checkBoxes(page) {
  assert.ok(await page.locator('.box:visible').count() > 0);
  await page.locator('[name=boxes]').uncheck();
  assert.equal(await page.locator('.box:visible').count(), 0);
  assert.match(page.url(), /boxes=0/);
  await page.locator('[name=boxes]').check();
  const details = page.locator('.boxes').first();
  await details.locator('summary').click();
  await details.locator('tbody tr').first().hover();
  assert.equal(await page.locator('.box.on').count(), 1);
  const title = await page.locator('.box.on').getAttribute('title');
  assert.equal(title.split(',')[0], await details.locator('tbody tr td:nth-child(2)').first().textContent());
  await details.locator('summary').click();
  ok(`boxes hide and show, and say what they are: ${title}`);
}

async function checkFilters(page, rows) {
  const size = test => rows.filter(test).length;
  for (const status of ['done', 'failed', 'all']) {
    await choose(page, 'status', status);
    assert.equal(await counted(page), size(row => status === 'all' || row.status === status), status);
  }
  let sum = 0;
  for (const condition of ['fog', 'night']) {
    await choose(page, 'condition', condition);
    assert.equal(await counted(page), size(row => row.condition === condition), condition);
    sum += await counted(page);
  }
  assert.equal(sum, rows.length);
  await choose(page, 'condition', '');
  for (const name of CLASSES) {
    const own = rows.map(row => row.objects.filter(box => box.class === name)).filter(boxes => boxes.length);
    if (!own.length) continue;
    await choose(page, 'class', name);
    assert.equal(await counted(page), own.length, name);
    const drawn = await page.$$eval('.box', nodes => nodes.filter(node => !node.hidden).map(node => node.title));
    assert.equal(drawn.length, own.flat().length, name);
    assert.ok(drawn.every(title => title.startsWith(`${name},`)), name);
    const least = Math.min(...own.flat().map(box => box.edges)).toFixed(2);
    // The worst of the class comes first.
    assert.equal(await page.locator('.card .numbers dd').first().textContent(), least, name);
  }
  await choose(page, 'class', '');
  ok('filters by status, condition and class');
}

async function checkSearch(page, rows) {
  assert.equal(await search(page, 'BROKEN TOO'), rows.filter(row => row.source.endsWith('broken too.jpg')).length);
  assert.equal(await search(page, 'fog_2'), rows.filter(row => row.style.includes('fog_2')).length);
  assert.equal(await search(page, 'its content is no'), rows.filter(row => row.status === 'failed').length);
  assert.equal(await search(page, 'zzz'), 0);
  assert.ok(await page.locator('#empty').isVisible());
  assert.equal(await search(page, ''), rows.length);
  await page.locator('#tables button', { hasText: 'night-1' }).click();
  assert.equal(await counted(page), rows.filter(row => row.folder.endsWith('night-1')).length);
  assert.equal(await search(page, ''), rows.length);
  ok('search by name, style, error and output');
}

async function checkSorts(page, rows) {
  const done = rows.filter(row => row.status === 'done');
  const contrast = row => Math.min(...row.objects.map(box => box.contrast), Infinity);
  const keys = {
    worst: row => row.box_edges_min ?? Infinity, faint: contrast, slow: row => -row.seconds,
    loss: row => -row.style_loss / row.first_style_loss,
  };
  await choose(page, 'status', 'done');
  for (const [name, key] of Object.entries(keys)) {
    await choose(page, 'sort', name);
    const places = await page.$$eval('.card', cards => cards.map(card => (
      card.querySelector('.title .muted').textContent + card.querySelector('h3').textContent)));
    const sorted = places.map(place => key(done.find(row => place.endsWith(`${basename(row.folder)}/${row.output}`))));
    assert.ok(sorted.every((value, index) => !index || sorted[index - 1] <= value), `${name}: ${sorted}`);
    assert.equal(sorted.length, done.length);
  }
  await choose(page, 'sort', 'name');
  const names = await page.locator('h3').allTextContents();
  assert.deepEqual(names, [...names].sort(new Intl.Collator('en', { numeric: true }).compare));
  ok('sorts by worst and faintest box, time, loss and name');
}

async function checkMarkup(page) {
  const names = await page.locator('h3').allTextContents();
  for (const name of MARKUP) {
    assert.ok(names.some(shown => shown.startsWith(name.replace('.jpg', '__'))), name);
  }
  assert.equal(await page.locator('#list script, #list i, #list b, header i, header b').count(), 0);
  assert.ok((await page.locator('#tables button').allTextContents()).includes('<i>truck</i>'));
  ok('names with markup stay names');
}

async function checkFailures(page, rows, lost) {
  const failed = rows.filter(row => row.status === 'failed');
  assert.equal(failed.length, 2 * BROKEN.length);
  const text = await page.locator('#failures').textContent();
  assert.match(text, new RegExp(`^${failed.length} failures${failed.length} × its content is not jpeg`));
  const card = page.locator('.card', { has: page.locator('h3', { hasText: lost }) });
  assert.equal(await card.locator('.missing').textContent(), 'Result picture missing');
  ok('failures by reason; a result that is gone is missed on its card');
}

async function checkMissingThumbnail(browser, file) {
  const [row] = JSON.parse(dataOf(file)).rows.filter(one => one.result);
  gone.add(row.result);
  rmSync(join(file, '..', row.result));
  const page = await open(browser, file, { hash: `#q=${encodeURIComponent(basename(row.output))}` });
  await page.locator('.missing.result').first().waitFor();
  await page.context().close();
  ok('a thumbnail that is gone is missed on its card');
}

async function checkHash(browser, file, rows) {
  const page = await open(browser, file, { hash: '#status=failed&sort=slow&class=nonsense' });
  assert.equal(await counted(page), rows.filter(row => row.status === 'failed').length);
  assert.equal(await page.locator('[name=sort]').inputValue(), 'slow');
  assert.equal(await page.locator('[name=class]').inputValue(), '');
  await page.context().close();
  ok('an address keeps filters and sort');
}

async function checkLooks(browser, file, name) {
  const colours = {};
  for (const scheme of ['light', 'dark']) {
    const page = await open(browser, file, { scheme });
    colours[scheme] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    await page.waitForLoadState('load');
    await page.screenshot({ path: join(shots, `${name}-${scheme}.png`) });
    if (scheme === 'light') {
      await page.locator('.title button').first().click();
      await page.waitForTimeout(200);
      await page.screenshot({ path: join(shots, `${name}-enlarged.png`) });
    }
    await page.context().close();
  }
  assert.notEqual(colours.light, colours.dark);
  for (const width of [360, 700, 900]) {
    const page = await open(browser, file, { size: { width, height: PHONE.height } });
    await page.waitForLoadState('load');
    if (width === PHONE.width) await page.screenshot({ path: join(shots, `${name}-phone.png`) });
    await page.evaluate(() => document.querySelectorAll('details').forEach(node => { node.open = true; }));
    await page.waitForTimeout(100);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 0, `${name} is ${over} pixels too wide at ${width}`);
    if (width === PHONE.width) await page.screenshot({ path: join(shots, `${name}-phone-all.png`), fullPage: true });
    await page.context().close();
  }
  ok(`${name}: light and dark; nothing too wide at 360, 700 and 900 pixels`);
}

// The report's own rows, over and over under other names.
function multiplied(file) {
  const data = JSON.parse(dataOf(file));
  const own = data.rows;
  data.rows = Array.from({ length: ROWS }, (_, n) => (
    { ...own[n % own.length], output: `images/train/f${n}.jpg`, source: `/drive/f${n}.jpg` }));
  const big = join(file, '../big.html');
  const json = JSON.stringify(data).replaceAll('<', '\\u003c');
  writeFileSync(big, readFileSync(file, 'utf8').replace(dataOf(file), () => json));
  return big;
}

async function checkMany(browser, file) {
  const page = await open(browser, file);
  await page.waitForSelector('.card');
  const first = performance.now() - page.begun;
  // A machine that CI shares may take longer than one at a desk; a page that draws all cards takes minutes.
  assert.ok(first < 10_000, `${first} ms`);
  await page.waitForTimeout(300);
  const drawn = await counted(page);
  assert.ok(drawn <= 180, `${drawn} cards at the start`);
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await page.waitForFunction(before => document.querySelectorAll('.card').length > before, drawn);
  const searched = performance.now();
  assert.equal(await search(page, 'f999'), 11);
  const found = performance.now() - searched;
  assert.equal(await page.locator('#count').textContent(), '11 of 10,000 rows');
  await page.context().close();
  const [card, hits] = [first, found].map(Math.round);
  ok(`10,000 rows: first card after ${card} ms (2,000 wanted), ${drawn} cards drawn, search in ${hits} ms`);
}

async function checkReport(browser, made) {
  const rows = rowsOf(made.outputs, CLASSES);
  const page = await open(browser, made.report);
  await checkFigures(page, rows, 'report');
  await checkCards(page, rows, 'report');
  await checkMarkup(page);
  await checkFailures(page, rows, made.lost);
  await checkSlider(page);
  await checkBoxes(page);
  await checkFilters(page, rows);
  await checkSearch(page, rows);
  await checkSorts(page, rows);
  await page.context().close();
  await checkHash(browser, made.report, rows);
  await checkLooks(browser, made.report, 'report');
  await checkMany(browser, multiplied(made.report));
  await checkMissingThumbnail(browser, made.report);
}

async function checkPreview(browser, made) {
  const rows = rowsOf(made.previewed, CLASSES);
  const page = await open(browser, made.preview);
  await checkFigures(page, rows, 'preview');
  await checkCards(page, rows, 'preview');
  await checkSlider(page);
  await checkBoxes(page);
  await page.context().close();
  await checkTouch(browser, made.preview);
  await checkLooks(browser, made.preview, 'preview');
}

async function main() {
  mkdirSync(shots, { recursive: true });
  const place = mkdtempSync(join(tmpdir(), 'augment-pages-'));
  const begun = performance.now();
  const said = () => `${((performance.now() - begun) / 1000).toFixed(1)} s`;
  // The browser's own sandbox does not work for root, as CI often is; the pages are this program's.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';
  const browser = await chromium.launch({ executablePath, args });
  try {
    const made = make(resolve(program), place);
    ok(`dataset, outputs and pages are made, ${said()}`);
    await checkPreview(browser, made);
    await checkReport(browser, made);
    assert.deepEqual(complaints, []);
    ok(`no errors, nothing asked from a network; ${said()}; screenshots in ${shots}`);
  } finally {
    await browser.close();
    rmSync(place, { recursive: true, force: true });
  }
}

await main();
