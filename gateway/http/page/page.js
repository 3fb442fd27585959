"use strict";
// Asks /v1/overview every two seconds and shows it. All text goes in as text: no markup is ever made of data.

const EVERY_MS = 2000, PATIENCE_MS = 5000, KEY = "paretogate-key";
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);
let chosenRoute = null, last = null;

function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((each) => each !== null));
  return made;
}

function draw(name, attributes = {}, text = null) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  return made;
}

const unknown = (value) => value === null || value === undefined || !Number.isFinite(value);
const share = (value, digits = 1) => unknown(value) ? "–" : `${(100 * value).toFixed(digits)} %`;
const count = (value) => Math.round(value).toLocaleString("en-US");
function usd(value) {
  if (unknown(value)) return "–";
  if (value === 0) return "$0";
  if (Math.abs(value) >= 1) return `$${value.toFixed(2)}`;
  const digits = Math.min(9, 2 - Math.floor(Math.log10(Math.abs(value)))); // three that mean something
  return `$${value.toFixed(digits).replace(/(\.\d\d\d*?)0+$/, "$1")}`;
}
function seconds(value) {
  if (unknown(value)) return "–";
  return value < 1 ? `${Math.round(1000 * value)} ms` : `${value.toFixed(1)} s`;
}
const total = (rows, field) => rows.reduce((sum, each) => sum + each[field], 0);
const per1k = (row) => row.served ? 1000 * row.actual_usd / row.served : null;
const PROMISES = { min_quality: (v) => `at least ${share(v)} success on average`, max_cost_per_1k: (v) => `at most ${usd(v)} per 1,000 queries`, tradeoff: (v) => `trade-off ${v} of 10` };
function promised(route) {
  const [name, value] = Object.entries(route.objective)[0];
  return PROMISES[name](value);
}

// ── summary ─────────────────────────────────────────────────────────────────────────────────────────────────────────
function showCards(told) {
  const spent = total(told.routes, "predicted_usd"), best = told.routes.reduce((sum, each) => sum + each.counterfactual_usd.best, 0);
  const served = total(told.models, "served"), failed = total(told.models, "failed") + told.unplaced;
  const scored = total(told.models, "scored");
  const mean = (field, weight) => told.models.reduce((sum, each) => sum + (each[field] ?? 0) * each[weight], 0) / total(told.models, weight);
  const cards = [
    ["Saved against always-best", best ? share(1 - spent / best) : "–", best ? `${usd(best - spent)} of ${usd(best)}, as predicted` : "no routed query yet", "lead"],
    ["Spent", usd(total(told.models, "actual_usd")), served ? `${usd(1000 * total(told.models, "actual_usd") / served)} per 1,000 answers` : "no answer yet", ""],
    [scored ? "Realised success" : "Predicted success", served ? share(scored ? mean("mean_realised_quality", "scored") : mean("mean_predicted_quality", "served")) : "–",
      scored ? `over ${count(scored)} answers with feedback` : "predicted only: no feedback yet", ""],
    ["Answered", count(served), `${count(failed)} ended otherwise · ${count(told.waiting.queries)} waiting`, ""],
  ];
  byId("cards").replaceChildren(...cards.map(([name, value, note, kind]) =>
    el("div", { class: kind }, el("dt", {}, name), el("dd", {}, value), el("dd", {}, note))));
}

// ── plane ───────────────────────────────────────────────────────────────────────────────────────────────────────────
function ticks(low, high, about) {
  const raw = (high - low) / about, unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * unit).find((each) => each >= raw);
  const made = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) made.push(at);
  return made;
}

function frame(points, width) {
  // free models have no place on a logarithmic axis: they stand at its left end
  const paid = points.map((each) => each[0]).filter((each) => each > 0);
  const least = paid.length ? Math.min(...paid) / 1.6 : 0.01, most = paid.length ? Math.max(...paid) * 1.6 : 1;
  const qualities = points.map((each) => each[1]);
  const low = Math.max(0, Math.min(...qualities) - 0.06), high = Math.min(1, Math.max(...qualities) + 0.06);
  const box = { left: 44, right: width - 14, top: 16, bottom: 286 };
  const x = (cost) => box.left + (box.right - box.left) * Math.log(Math.max(cost, least) / least) / Math.log(most / least);
  const y = (quality) => box.bottom - (box.bottom - box.top) * (quality - low) / (high - low);
  return { box, x, y, least, most, low, high };
}

function showAxes(plot, its) {
  const { box, x, y } = its;
  for (const at of ticks(its.low, its.high, 5)) {
    plot.append(draw("line", { class: "grid", x1: box.left, x2: box.right, y1: y(at), y2: y(at) }));
    plot.append(draw("text", { class: "axis", x: box.left - 8, y: y(at) + 4, "text-anchor": "end" }, share(at, 0)));
  }
  const decades = [];
  for (let power = Math.floor(Math.log10(its.least)); power <= Math.log10(its.most); power++)
    for (const part of its.most / its.least > (box.right - box.left) / 3 ? [1] : [1, 2, 5]) decades.push(part * 10 ** power);
  for (const at of decades.filter((each) => each >= its.least && each <= its.most))
    plot.append(draw("text", { class: "axis", x: x(at), y: box.bottom + 18, "text-anchor": "middle" }, `$${+at.toPrecision(2)}`));
  plot.append(draw("text", { class: "axis", x: box.right, y: box.bottom + 36, "text-anchor": "end" }, "USD per 1,000 queries, logarithmic"));
  plot.append(draw("text", { class: "axis", x: box.left, y: 8 }, "success"));
}

function showPlane(told) {
  const route = told.routes.find((each) => each.name === chosenRoute) ?? told.routes[0];
  if (!route) return;
  const width = Math.max(280, byId("plane").clientWidth); // drawn in real pixels: on a phone its text stays readable
  const singles = Object.entries(route.singles), { quality, cost_per_1k: cost } = route;
  const live = [[cost.predicted, quality.predicted, "predicted"], [cost.actual, quality.realised, "realised"]].filter((each) => !unknown(each[0]) && !unknown(each[1]));
  const its = frame([...singles.map((each) => each[1]), ...route.frontier, ...live], width), { x, y, box } = its;
  const plot = draw("svg", { viewBox: `0 0 ${width} 326`, role: "img", "aria-labelledby": "h-plane plane-note" });
  showAxes(plot, its);
  const line = route.frontier.map((each, index) => `${index ? "L" : "M"}${x(each[0]).toFixed(1)} ${y(each[1]).toFixed(1)}`).join("");
  if (route.frontier.length > 1) {
    const ends = [route.frontier[0], route.frontier[route.frontier.length - 1]].map((each) => x(each[0]).toFixed(1));
    plot.append(draw("path", { class: "under", d: `${line}L${ends[1]} ${box.bottom}L${ends[0]} ${box.bottom}Z` }));
    plot.append(draw("path", { class: "hull", d: line }));
  }
  if (!unknown(quality.asked)) plot.append(draw("line", { class: "asked", x1: box.left, x2: box.right, y1: y(quality.asked), y2: y(quality.asked) }));
  if (!unknown(cost.asked)) plot.append(draw("line", { class: "asked", x1: x(cost.asked), x2: x(cost.asked), y1: box.top, y2: box.bottom }));
  const named = [];
  for (const [name, [usdPer1k, success]] of singles.sort((a, b) => b[1][1] - a[1][1])) {
    const px = x(usdPer1k), py = y(success), label = name.length > 26 ? `${name.slice(0, 25)}…` : name;
    plot.append(draw("circle", { class: "single", cx: px, cy: py, r: 5 }));
    const width = 6.2 * label.length, leftwards = px + 10 + width > box.right;
    const from = leftwards ? px - 10 - width : px + 10;
    if (named.some((each) => Math.abs(each.y - py) < 13 && from < each.to && from + width > each.from)) continue;
    named.push({ from, to: from + width, y: py });
    plot.append(draw("text", { class: "name", x: leftwards ? px - 10 : px + 10, y: py + 4, "text-anchor": leftwards ? "end" : "start" }, label));
  }
  for (const [usdPer1k, success, kind] of live) plot.append(draw("circle", { class: kind, cx: x(usdPer1k), cy: y(success), r: 7 }));
  const keys = [["hull", "what this route can reach"], ["single", "a model alone"], ["asked", "asked"], ["predicted", "predicted"], ["realised", "realised"]]
    .filter(([kind]) => kind === "hull" || kind === "single" || (kind === "asked" ? !unknown(quality.asked) || !unknown(cost.asked) : live.some((each) => each[2] === kind)));
  byId("plane").replaceChildren(plot, el("div", { class: "keys" }, ...keys.map(([kind, name]) => el("span", { class: `k-${kind}` }, el("i"), name))));
  byId("plane-note").textContent = `${route.name}: ${promised(route)}. ` + (told.predictor === "artifact" ? "Models and frontier by outcomes held out when the predictor was trained, at your prices." : "Models by what is believed of them.");
}

function showModels(told) {
  const head = ["Model", "in / out per M", "Answers", "Cost per 1,000", "Predicted", "Realised"];
  const rows = told.models.map((each) => [each.name, `${usd(each.price_usd_per_million.input)} / ${usd(each.price_usd_per_million.output)}`, count(each.served), usd(per1k(each)), share(each.mean_predicted_quality), share(each.mean_realised_quality)]);
  byId("models").replaceChildren(el("thead", {}, el("tr", {}, ...head.map((each) => el("th", { scope: "col" }, each)))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((each) => el("td", {}, each))))));
}

// ── promises, endpoints ─────────────────────────────────────────────────────────────────────────────────────────────
function showRoutes(told) {
  byId("routes").replaceChildren(...told.routes.map((route) => {
    const { quality, cost_per_1k: cost } = route, best = route.counterfactual_usd.best;
    const pairs = [["Asked", !unknown(cost.asked) ? usd(cost.asked) : share(quality.asked)], ["Predicted", share(quality.predicted)], ["Realised", share(quality.realised)],
      ["per 1,000", usd(cost.actual ?? cost.predicted)], ["Expected", share(quality.expected)], ["Answers", count(route.served)], ["Saved", best ? share(1 - route.predicted_usd / best, 0) : "–"], ["Models", String(route.models.length)]];
    return el("div", { class: "route" },
      el("div", { class: "head" }, el("h3", {}, route.name), el("span", { class: quality.predicted_only ? "badge warn" : "badge good" }, quality.predicted_only ? "predicted only" : "checked by feedback")),
      el("p", { class: "note" }, promised(route)),
      el("dl", { class: "pairs" }, ...pairs.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))));
  }));
}

const BREAKER = { closed: ["well", "good"], half_open: ["being tried", "warn"], open: ["taken out", "bad"] };
function showEndpoints(told) {
  byId("queue").textContent = told.waiting.queries ? `${count(told.waiting.queries)} waiting, the longest for ${seconds(told.waiting.oldest_s)}` : "nobody waits";
  byId("endpoints").replaceChildren(...told.endpoints.map((each) => {
    const [word, kind] = BREAKER[each.breaker];
    return el("li", {},
      el("div", { class: "head" }, el("b", {}, each.name), el("span", { class: "note" }, `${count(each.held)} of ${count(each.capacity)} `, el("span", { class: `badge ${kind}` }, word))),
      el("meter", { min: 0, max: each.capacity, high: 0.75 * each.capacity, low: 0.5 * each.capacity, optimum: 0, value: each.held, "aria-label": `${each.name}: slots in use` }));
  }));
}

// ── decisions ───────────────────────────────────────────────────────────────────────────────────────────────────────
function decisionRow(told) {
  const well = told.outcome === "served", quality = unknown(told.score) ? share(told.predicted_quality, 0) : `${share(told.predicted_quality, 0)} → ${told.score}`;
  const why = el("div", { class: "why" }, ...told.words.map((each) => el("p", {}, each)));
  if (told.estimates.length) why.append(el("table", {}, el("thead", {}, el("tr", {}, ...["Model", "Predicted", "Cost"].map((each) => el("th", { scope: "col" }, each)))),
    el("tbody", {}, ...told.estimates.map((each) => el("tr", each.model === told.model ? { class: "chosen" } : {}, el("td", {}, each.model), el("td", {}, share(each.quality)), el("td", {}, usd(each.cost_usd)))))));
  why.append(el("p", { class: "note" }, `${told.id} · ${told.endpoint ?? "no endpoint"} · the gateway added ${told.overhead_ms.toFixed(1)} ms`));
  return el("details", {}, el("summary", {},
    el("span", { class: "wide note" }, told.target), el("b", {}, told.model ?? "nobody"), el("span", { class: `badge ${well ? "good" : told.outcome ? "bad" : ""}` }, told.outcome ?? "running"),
    el("span", { class: "wide num" }, quality), el("span", { class: "wide num" }, usd(told.cost_usd)), el("span", { class: "wide num" }, seconds(told.total_s))), why);
}

const shown = new Map(); // by id: what was told and its element, so that an open one stays open
function showDecisions(told) {
  const place = byId("decisions"), kept = new Set();
  const rows = told.decisions.map((each) => {
    const said = JSON.stringify([each.outcome, each.score, each.cost_usd, each.total_s]), before = shown.get(each.id);
    kept.add(each.id);
    if (before && before.said === said) return before.row;
    const row = decisionRow(each);
    if (before) row.open = before.row.open;
    shown.set(each.id, { said, row });
    return row;
  });
  for (const id of shown.keys()) if (!kept.has(id)) shown.delete(id);
  if (!rows.length) rows.push(el("p", { class: "note" }, "None yet: try the line below."));
  if (rows.length !== place.children.length || rows.some((row, index) => place.children[index] !== row)) {
    const focused = document.activeElement;
    place.replaceChildren(...rows);
    if (place.contains(focused)) focused.focus();
  }
}

// ── the whole ───────────────────────────────────────────────────────────────────────────────────────────────────────
function showFixed(told) {
  byId("version").textContent = told.version;
  byId("demonstration").hidden = !told.demonstration;
  byId("config").textContent = told.config;
  byId("since").textContent = new Date(1000 * told.started).toLocaleString();
  const names = told.routes.map((each) => each.name), pick = byId("route");
  if ([...pick.options].map((each) => each.value).join("\n") !== names.join("\n")) {
    pick.replaceChildren(...names.map((each) => el("option", { value: each }, each)));
    chosenRoute = names.includes(chosenRoute) ? chosenRoute : names[0] ?? null;
    pick.value = chosenRoute ?? "";
  }
  const body = JSON.stringify({ model: names[0] ?? told.models[0].name, messages: [{ role: "user", content: "What is 7 plus 5?" }] });
  const key = sessionStorage.getItem(KEY) ? " \\\n  -H 'authorization: Bearer YOUR_KEY'" : "";
  byId("curl").textContent = `curl ${location.origin}/v1/chat/completions \\\n  -H 'content-type: application/json'${key} \\\n  -d '${body.replaceAll("'", "'\\''")}'`;
  byId("base").textContent = `${location.origin}/v1`;
}

function show(told) {
  last = told;
  byId("gate").hidden = true;
  byId("figures").hidden = false; // first: the plot asks how wide it may be
  for (const each of [showFixed, showCards, showPlane, showModels, showRoutes, showEndpoints, showDecisions]) each(told);
}

function state(kind, words) {
  const place = byId("state");
  if (place.textContent !== words) place.textContent = words;
  place.className = `state ${kind}`;
}

async function look() {
  let told;
  const key = sessionStorage.getItem(KEY);
  try {
    const answer = await fetch("/v1/overview", { headers: key ? { authorization: `Bearer ${key}` } : {}, signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" });
    if (answer.status === 401 || answer.status === 403) {
      byId("refused").textContent = key ? (await answer.json()).error.message : "";
      sessionStorage.removeItem(KEY);
      byId("figures").hidden = true;
      byId("gate").hidden = false;
      return state("", "locked");
    }
    if (!answer.ok) return state("lost", `answered ${answer.status}`);
    told = await answer.json();
  } catch (error) {
    state("lost", error.name === "TypeError" || error.name === "TimeoutError" ? "not reachable" : "no overview");
    return;
  }
  show(told); // outside: a fault of the page's own is to be seen in the console
  state("live", "live");
}

async function keepLooking() {
  if (!document.hidden && byId("gate").hidden) await look();
  setTimeout(keepLooking, EVERY_MS);
}

byId("route").addEventListener("change", (event) => { chosenRoute = event.target.value; if (last) showPlane(last); });
addEventListener("resize", () => { if (last) showPlane(last); });
byId("gate").addEventListener("submit", (event) => { event.preventDefault(); sessionStorage.setItem(KEY, byId("key").value.trim()); byId("key").value = ""; look(); });
byId("copy").addEventListener("click", async () => {
  try { await navigator.clipboard.writeText(byId("curl").textContent); byId("copy").textContent = "Copied"; }
  catch { getSelection().selectAllChildren(byId("curl")); byId("copy").textContent = "Selected"; }
  setTimeout(() => { byId("copy").textContent = "Copy"; }, 1500);
});
keepLooking();
