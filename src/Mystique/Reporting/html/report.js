// Draws a report from its data. Names come from traces: they only ever become text, never markup.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const main = document.getElementById("report");
  const svg = "http://www.w3.org/2000/svg";
  const TOP = 14; // Rows of a chart of bars that are not folded.
  const hues = ["#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#e15759", "#76b7b2", "#d4a72c", "#9c755f"];

  function add(parent, tag, text, className) {
    const element = document.createElement(tag);
    if (text !== undefined && text !== null) element.textContent = text;
    if (className) element.className = className;
    parent.appendChild(element);
    return element;
  }

  function card(section, parent = main) {
    const element = add(parent, "section", undefined, "card");
    if (section.title) add(element, "h2", section.title);
    if (section.hint) add(element, "p", section.hint, "hint");
    return element;
  }

  function table(parent, head, rows, words = []) {
    const element = add(add(parent, "div", undefined, "scroll"), "table");
    const isWord = i => words.includes(i) ? "text" : "";
    if (head) {
      const row = add(add(element, "thead"), "tr");
      head.forEach((h, i) => add(row, "th", h, isWord(i)));
    }
    const body = add(element, "tbody");
    for (const cells of rows) {
      const row = add(body, "tr");
      cells.forEach((c, i) => add(row, "td", c, isWord(i)));
    }
  }

  function fold(parent, summary, fill) {
    const details = add(parent, "details");
    add(details, "summary", summary);
    details.addEventListener("toggle", () => { if (details.childElementCount === 1) fill(details); });
  }

  const number = v => {
    const size = Math.abs(v);
    return v.toLocaleString("en-US", size >= 100 || Number.isInteger(v) ? { maximumFractionDigits: 0 }
      : { minimumFractionDigits: size >= 10 ? 1 : size >= 1 ? 2 : 3, maximumFractionDigits: size >= 10 ? 1 : size >= 1 ? 2 : 3 });
  };
  const signed = v => (v > 0 ? "+" : "") + number(v);
  const sum = values => values.reduce((a, b) => a + b, 0);
  const colorOf = name => `var(--${name === "replay" ? "replay" : "original"})`;

  function legend(parent, entries) {
    const element = add(parent, "div", undefined, "legend");
    for (const [name, color] of entries) {
      const entry = add(element, "span");
      add(entry, "i").style.background = color;
      entry.appendChild(document.createTextNode(name));
    }
  }

  function bars(section) {
    const element = card(section), series = section.series, unit = section.unit ? ` ${section.unit}` : "";
    if (series.length > 1) legend(element, series.map(s => [s.name, colorOf(s.name)]));
    const shown = section.names.length > TOP + 2 ? TOP : section.names.length;
    const isBoth = section.signed, most = Math.max(...series.flatMap(s => s.values.map(Math.abs)), 1e-12);
    const grid = add(element, "div", undefined, "bars");
    const format = isBoth ? signed : number;
    for (let i = 0; i < shown; i++) {
      add(grid, "div", section.names[i], "name").title = section.names[i];
      const track = add(grid, "div", undefined, isBoth ? "track both" : "track"), value = add(grid, "div", undefined, "value");
      for (const s of series) {
        const v = s.values[i] ?? 0, bar = add(track, "i"), share = Math.abs(v) / most * (isBoth ? 50 : 100);
        bar.style.width = `${share}%`;
        if (isBoth) bar.style.marginLeft = `${v < 0 ? 50 - share : 50}%`;
        bar.style.background = isBoth ? (v < 0 ? "var(--original)" : "var(--replay)") : colorOf(s.name);
        add(value, "div", format(v) + unit);
      }
    }
    const rest = section.names.length - shown;
    if (rest > 0) {
      const sums = series.map(s => format(sum(s.values.slice(shown))) + unit).join(series.length > 1 ? " and " : "");
      fold(element, `and ${rest} more ${section.what}, ${sums}`, parent => table(parent, [section.what, ...series.map(s =>
        `${s.name}${section.unit ? `, ${section.unit}` : ""}`)], section.names.slice(shown).map((n, i) =>
        [n, ...series.map(s => format(s.values[shown + i] ?? 0))])));
    }
    drawn();
  }

  const drawn = () => { main.dataset.charts = Number(main.dataset.charts || 0) + 1; };

  // Round numbers over a range: about so many.
  function ticks(low, high, count) {
    const rough = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map(f => f * power).find(s => s >= rough);
    const found = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
    return found.map(v => [v, Number(v.toPrecision(6)).toLocaleString("en-US", { maximumFractionDigits: 6 })]);
  }

  function redrawn(element, draw) {
    let width = 0;
    const again = () => {
      if (element.clientWidth === width || element.clientWidth === 0) return;
      width = element.clientWidth;
      draw(width);
    };
    again();
    addEventListener("resize", again);
    drawn();
  }

  function shape(parent, tag, attributes, text) {
    const element = document.createElementNS(svg, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    parent.appendChild(element);
    return element;
  }

  function lines(section) {
    const element = card(section), plot = add(element, "div", undefined, "plot");
    if (section.series.length > 1) legend(element, section.series.map(s => [s.name, colorOf(s.name)]));
    const at = (s, i) => s.from === undefined ? i : s.from + i * s.width;
    const low = Math.min(...section.series.map(s => at(s, 0)));
    const high = Math.max(...section.series.map(s => at(s, s.values.length - (section.step ? 0 : 1))), low + 1e-9);
    const top = 1.05 * section.series.reduce((m, s) => s.values.reduce((a, b) => Math.max(a, b), m), 1e-9);
    redrawn(plot, width => {
      plot.replaceChildren();
      const left = 64, right = 14, above = 22, height = 230, below = 40;
      const picture = shape(plot, "svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img" });
      const x = v => left + (v - low) / (high - low) * (width - left - right), y = v => height - below - v / top * (height - above - below);
      shape(picture, "text", { x: left, y: 13 }, section.unit);
      for (const [v, text] of ticks(0, top, 4)) {
        shape(picture, "line", { x1: left, x2: width - right, y1: y(v), y2: y(v), stroke: "var(--line)" });
        shape(picture, "text", { x: left - 8, y: y(v) + 4, "text-anchor": "end" }, text);
      }
      for (const [v, text] of ticks(low, high, Math.max(2, Math.floor(width / 130))))
        if (x(v) < width - 40 && x(v) > left + 10 || v === 0)
          shape(picture, "text", { x: x(v), y: height - below + 17, "text-anchor": "middle" }, text);
      shape(picture, "text", { x: width - right, y: height - 6, "text-anchor": "end" }, section.x);
      for (const s of section.series) {
        // Not more points than can be seen: of those that share a pixel, the highest.
        const points = [], every = Math.max(1, Math.floor(s.values.length / (width * 2)));
        for (let i = 0; i < s.values.length; i += every) {
          let v = s.values[i];
          for (let j = i; j < Math.min(i + every, s.values.length); j++) v = Math.max(v, s.values[j]);
          points.push([x(at(s, i)).toFixed(1), y(v).toFixed(1)]);
        }
        let path = `M${points[0].join(" ")}`;
        for (const [px, py] of points.slice(1)) path += section.step ? `H${px}V${py}` : `L${px} ${py}`;
        const end = x(at(s, s.values.length - (section.step ? 0 : 1))).toFixed(1);
        path += `H${end}`;
        shape(picture, "path", { d: `${path}V${y(0)}H${points[0][0]}Z`, fill: colorOf(s.name), opacity: .12 });
        shape(picture, "path", { d: path, fill: "none", stroke: colorOf(s.name), "stroke-width": 1.6, "stroke-linejoin": "round" });
      }
    });
  }

  function map(section) {
    const element = card(section), plot = add(element, "div", undefined, "plot"), points = section.points;
    legend(element, section.groups.map((name, i) => [name, i < hues.length ? hues[i] : "var(--rest)"]));
    const range = k => [Math.min(...points.map(p => p[k])), Math.max(...points.map(p => p[k]))];
    const [left, right] = range(0), [low, high] = range(1), heaviest = Math.max(...points.map(p => p[2]), 1e-9);
    redrawn(plot, width => {
      plot.replaceChildren();
      const height = 380, rim = 24, picture = shape(plot, "svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img" });
      const x = v => rim + (v - left) / (right - left || 1) * (width - 2 * rim);
      const y = v => height - rim - (v - low) / (high - low || 1) * (height - 2 * rim);
      for (const [px, py, weight, group, name, isMember] of points) {
        const dot = shape(picture, "circle", {
          cx: x(px).toFixed(1), cy: y(py).toFixed(1), r: (2 + 14 * Math.sqrt(weight / heaviest)).toFixed(1),
          fill: group < hues.length ? hues[group] : "var(--rest)", "fill-opacity": .45,
          stroke: isMember ? "var(--ink)" : "none", "stroke-width": 1.6,
        });
        shape(dot, "title", {}, name);
      }
    });
  }

  function timeline(section) {
    const element = card(section);
    const totals = new Map();
    for (const row of section.rows) row.names.forEach((n, i) => totals.set(n, (totals.get(n) || 0) + row.durations[i]));
    const order = [...totals].sort((a, b) => b[1] - a[1]).slice(0, hues.length).map(t => t[0]);
    const style = getComputedStyle(document.documentElement), css = name => style.getPropertyValue(name).trim();
    legend(element, [...order.map((n, i) => [section.names[n], hues[i]]),
      ...(totals.size > order.length ? [[`${totals.size - order.length} other kinds`, "var(--rest)"]] : [])]);
    const plot = add(element, "div", undefined, "plot"), canvas = add(plot, "canvas"), tip = add(plot, "div", undefined, "tip");
    const all = Math.max(...section.rows.map(r => r.starts.reduce((end, s, i) => Math.max(end, s + r.durations[i]), r.iteration)));
    let [from, to] = [0, all * 1.01], width = 0;
    const left = 70, rowHeight = 54, height = section.rows.length * rowHeight + 30;
    const x = t => left + (t - from) / (to - from) * (width - left - 8);
    const draw = () => {
      const ratio = devicePixelRatio || 1, c = canvas.getContext("2d");
      [canvas.width, canvas.height] = [width * ratio, height * ratio];
      canvas.style.height = `${height}px`;
      c.scale(ratio, ratio);
      c.font = "12px system-ui, sans-serif";
      section.rows.forEach((row, r) => {
        const top = r * rowHeight + 6;
        c.fillStyle = css("--soft");
        c.fillText(row.name, 0, top + 24);
        c.save();
        c.beginPath();
        c.rect(left, 0, width - left, height);
        c.clip();
        c.fillStyle = css("--track"); // The whole iteration; what stays free of operators is between them.
        c.fillRect(x(0), top, x(row.iteration) - x(0), 38);
        for (let i = 0; i < row.starts.length; i++) {
          const a = x(row.starts[i]), b = x(row.starts[i] + row.durations[i]);
          if (b < left || a > width) continue;
          const place = order.indexOf(row.names[i]);
          c.fillStyle = place < 0 ? css("--rest") : hues[place];
          c.fillRect(a, top, Math.max(.4, b - a), 38);
        }
        c.fillStyle = css("--ink");
        c.fillRect(x(row.iteration) - 1, top - 4, 2, 46);
        c.restore();
      });
      c.fillStyle = css("--soft");
      for (const [v, text] of ticks(from / 1e3, to / 1e3, Math.max(2, Math.floor(width / 130)))) {
        const label = `${text} ms`, half = c.measureText(label).width / 2;
        if (x(v * 1e3) - half >= left - 30 && x(v * 1e3) + half <= width) c.fillText(label, x(v * 1e3) - half, height - 8);
      }
    };
    redrawn(plot, w => { width = w; draw(); });
    const time = e => from + (e.offsetX - left) / (width - left - 8) * (to - from);
    canvas.addEventListener("wheel", e => {
      if (!e.ctrlKey && !e.shiftKey && !e.altKey) return; // The page scrolls by the wheel alone.
      e.preventDefault();
      const at = time(e), factor = e.deltaY + e.deltaX > 0 ? 1.25 : .8;
      [from, to] = [Math.max(0, at - (at - from) * factor), Math.min(all * 1.01, at + (to - at) * factor)];
      draw();
    }, { passive: false });
    let held = null;
    canvas.addEventListener("pointerdown", e => { held = time(e); });
    addEventListener("pointerup", () => { held = null; });
    canvas.addEventListener("dblclick", () => { [from, to] = [0, all * 1.01]; draw(); });
    canvas.addEventListener("pointerleave", () => { tip.style.display = "none"; });
    canvas.addEventListener("pointermove", e => {
      if (held !== null) {
        const moved = Math.max(-from, Math.min(all * 1.01 - to, held - time(e)));
        [from, to] = [from + moved, to + moved];
        draw();
        return;
      }
      const row = section.rows[Math.floor(e.offsetY / rowHeight)], at = time(e), near = (to - from) / width;
      const i = row ? row.starts.findIndex((s, k) => s - near <= at && at <= s + row.durations[k] + near) : -1;
      tip.style.display = i < 0 ? "none" : "block";
      if (i < 0) return;
      tip.textContent = `${section.names[row.names[i]]}: ${number(row.durations[i])} µs, from ${number(row.starts[i] / 1e3)} ms`;
      tip.style.left = `${Math.min(e.offsetX + 12, width - 220)}px`;
      tip.style.top = `${e.offsetY + 14}px`;
    });
  }

  function tree(section) {
    const element = card(section);
    // Children are made when their node is opened: a page of all of them would be slow.
    const fill = (parent, index) => {
      const depth = section.depths[index];
      for (let i = index + 1; i < section.depths.length && section.depths[i] > depth; i++) {
        if (section.depths[i] !== depth + 1) continue;
        const text = section.texts[section.nodes[i]];
        if (section.depths[i + 1] > section.depths[i]) fold(parent, text, details => fill(details, i));
        else add(parent, "div", text, "leaf");
      }
    };
    fill(add(element, "div", undefined, "tree"), 0);
  }

  const draw = {
    title: section => {
      add(main, "h1", section.title);
      if (section.verdict) {
        const element = add(main, "section", undefined, `card verdict ${section.level}`);
        if (section.word) add(element, "b", section.word);
        const sentence = add(element, "span", section.verdict);
        if (section.detail) add(sentence, "small", section.detail);
      }
      const tiles = section.tiles?.length ? add(main, "div", undefined, "tiles") : null;
      for (const tile of section.tiles ?? []) {
        const element = add(tiles, "div", undefined, `tile ${tile.level ?? ""}`);
        add(element, "div", tile.name, "name");
        add(element, "div", tile.value, "value");
        if (tile.note) add(element, "div", tile.note, "note");
      }
    },
    table: section => {
      const element = section.folded ? add(main, "section", undefined, "card") : card(section), shown = section.folded ? 0 : 20;
      if (section.folded) fold(element, section.title, d => table(d, section.head, section.rows, section.text));
      else table(element, section.head, section.rows.slice(0, shown), section.text);
      if (!section.folded && section.rows.length > shown)
        fold(element, `and ${section.rows.length - shown} more`, d => table(d, section.head, section.rows.slice(shown), section.text));
    },
    list: section => {
      const list = add(card(section), "ul");
      for (const item of section.items) {
        const line = add(list, "li");
        item.split("`").forEach((part, i) => add(line, i % 2 ? "code" : "span", part)); // Commands stand between back quotes.
      }
    },
    tree, bars, lines, timeline, map,
  };
  data.sections.forEach(section => draw[section.kind](section));
})();
