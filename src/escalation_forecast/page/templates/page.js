"use strict";
(function () {
  const root = document.documentElement, one = (q, at) => (at || document).querySelector(q);
  const all = (q, at) => Array.from((at || document).querySelectorAll(q));
  const status = one("#said");
  const say = (text) => { status.textContent = text; };
  const words = (node) => node ? node.textContent.replace(/\s+/g, " ").trim() : "";

  // Colours: the reader's choice over that of the system.
  const scheme = one("#scheme"), system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const press = () => scheme.setAttribute("aria-pressed", String(dark()));
  scheme.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("scheme", root.dataset.theme); } catch (e) { /* a page from a file may not keep it */ }
    press();
  });
  system.addEventListener("change", press);
  press();

  // Charts: read off by pointer, touch or arrow keys.
  for (const figure of all("[data-chart]")) {
    const data = JSON.parse(one("script", figure).textContent);
    const plot = one(".plot", figure), svg = one("svg", plot), cursor = one(".cursor", plot);
    const slider = one("input[type=range]", figure), output = one("output", figure);
    let from = 0, to = 100;
    const place = (i) => data.banded ? 100 * (i + 0.5) / data.n : 100 * i / Math.max(data.n - 1, 1);
    const show = (i) => {
      const at = 100 * (place(i) - from) / (to - from);
      cursor.style.left = at + "%";
      cursor.style.display = at < 0 || at > 100 ? "none" : "block";
      slider.value = i;
      slider.setAttribute("aria-valuetext", data.readings[i]);
      output.textContent = data.readings[i];
    };
    const near = (event) => {
      const box = plot.getBoundingClientRect();
      const x = (from + (to - from) * (event.clientX - box.left) / box.width) / 100;
      const i = data.banded ? Math.floor(x * data.n) : Math.round(x * (data.n - 1));
      show(Math.min(Math.max(i, Number(slider.min)), data.n - 1));
    };
    plot.addEventListener("pointermove", near);
    plot.addEventListener("pointerdown", near);
    slider.addEventListener("input", () => show(Number(slider.value)));
    figure.zoom = (near) => {
      from = near && data.zoom && data.zoom < data.n ? place(data.n - data.zoom) : 0;
      svg.setAttribute("viewBox", (20 * from) + " 0 " + (20 * (to - from)) + " 1000");
      figure.classList.toggle("zoomed", from > 0);
      slider.min = from > 0 ? data.n - data.zoom : 0;
      for (const mark of all("[data-x]", figure)) {
        const at = 100 * (Number(mark.dataset.x) - from) / (to - from);
        mark.style.left = at + "%";
        mark.hidden = at < 0 || at > 100;
      }
      show(Math.max(Number(slider.value), Number(slider.min)));
    };
    slider.value = data.start;
    figure.zoom(Boolean(data.zoom));
  }
  for (const ranges of all(".ranges")) {
    ranges.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      const near = button.dataset.range === "zoom";
      for (const other of all(".ranges button"))
        other.setAttribute("aria-pressed", String((other.dataset.range === "zoom") === near));
      for (const figure of all("#theatres .frame.tall")) figure.closest("[data-chart]").zoom(near);
    });
  }

  // What is not chosen is hidden on the screen and still printed.
  const only = (nodes, chosen) => {
    for (const node of nodes) { node.hidden = node !== chosen; node.dataset.print = ""; }
  };

  // Theatres: tabs.
  for (const box of all("[data-tabs]")) {
    const tabs = all("[role=tab]", box), panels = all(".panel", box);
    for (const [i, panel] of panels.entries()) {
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", tabs[i].id);
      panel.tabIndex = 0;
    }
    const choose = (i, focus) => {
      for (const [k, tab] of tabs.entries()) {
        tab.setAttribute("aria-selected", String(k === i));
        tab.tabIndex = k === i ? 0 : -1;
      }
      only(panels, panels[i]);
      if (focus) { tabs[i].focus(); say(panels[i].dataset.name + ". " + words(one(".sentence", panels[i]))); }
    };
    for (const [i, tab] of tabs.entries()) tab.addEventListener("click", () => choose(i, true));
    one("[role=tablist]", box).addEventListener("keydown", (event) => {
      const now = tabs.findIndex((tab) => tab.tabIndex === 0), last = tabs.length - 1;
      const next = { ArrowRight: now === last ? 0 : now + 1, ArrowLeft: now ? now - 1 : last, Home: 0, End: last }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      choose(next, true);
    });
    choose(0, false);
  }

  // Questions: a listbox with a search.
  const browser = one("[data-browser]");
  if (browser) {
    const list = one("[role=listbox]", browser), options = all("[role=option]", list);
    const find = one("#find"), group = one("#group"), count = one("#count");
    const families = all(".family", browser), parts = all(".qpart", browser);
    const byKey = new Map(parts.map((part) => [part.dataset.key, part]));
    const visible = () => options.filter((option) => !option.hidden);
    let active = null;
    const choose = (option, loud) => {
      active = option;
      for (const other of options) {
        other.setAttribute("aria-selected", String(other === option));
        other.classList.toggle("active", other === option);
      }
      list.setAttribute("aria-activedescendant", option.id);
      const part = byKey.get(option.dataset.key);
      only(families, part.closest(".family"));
      only(parts, part);
      const top = option.offsetTop, bottom = top + option.offsetHeight;
      if (top < list.scrollTop) list.scrollTop = top - 40;
      else if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight + 8;
      if (loud) say(part.dataset.name + ": " + all(".answers li", part).map((row) => words(one(".win", row)) + " " + words(one(".val b", row))).join(", "));
    };
    const filter = () => {
      const wanted = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const box of all("[role=group]", list)) {
        const here = !group.value || box.dataset.group === group.value;
        let some = false;
        for (const option of all("[role=option]", box)) {
          const fits = here && wanted.every((word) => option.dataset.find.includes(word));
          option.hidden = !fits;
          some = some || fits;
        }
        box.hidden = !some;
      }
      const left = visible();
      count.textContent = left.length === options.length ? options.length + " questions" : left.length + " of " + options.length + " questions";
      if (left.length && (!active || active.hidden)) choose(left[0], false);
    };
    find.addEventListener("input", filter);
    group.addEventListener("change", filter);
    list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) choose(option, true);
    });
    const move = (event) => {
      const left = visible(), now = left.indexOf(active), last = left.length - 1;
      const next = { ArrowDown: Math.min(now + 1, last), ArrowUp: Math.max(now - 1, 0), Home: 0, End: last,
        PageDown: Math.min(now + 8, last), PageUp: Math.max(now - 8, 0) }[event.key];
      if (next === undefined || last < 0) return;
      event.preventDefault();
      choose(left[next], true);
    };
    list.addEventListener("keydown", move);
    find.addEventListener("keydown", (event) => { if (event.key === "ArrowDown" && visible().length) { event.preventDefault(); list.focus(); } });
    filter();
    choose(options[0], false);
    // An address that names a question opens it.
    const follow = () => {
      const wanted = decodeURIComponent(location.hash.slice(1));
      const option = wanted.startsWith("q-") && options.find((one) => "q-" + one.dataset.key === wanted);
      if (!option) return;
      find.value = group.value = "";
      filter();
      choose(option, true);
      browser.scrollIntoView();
      list.focus({ preventScroll: true });
    };
    addEventListener("hashchange", follow);
    follow();
  }

  // One of several, by a select.
  const selects = (id, css, key) => {
    const select = one(id);
    if (!select) return;
    const nodes = all(css), choose = () => only(nodes, nodes.find((node) => node.dataset[key] === select.value));
    select.addEventListener("change", () => { choose(); const now = nodes.find((n) => !n.hidden); say(now.dataset.name + ". " + words(one(".said", now))); });
    choose();
  };
  selects("#state", ".state", "state");
  selects("#scenario", ".scenario", "scenario");

  const late = one("#late");
  if (late) late.addEventListener("change", () => {
    for (const row of all(".indicators tbody tr")) row.hidden = late.checked && !row.classList.contains("late");
  });

  // The section in sight, in the list of sections.
  const links = new Map(all(".toc a").map((link) => [link.hash.slice(1), link]));
  const watch = new IntersectionObserver((seen) => {
    for (const entry of seen) if (entry.isIntersecting) {
      for (const link of links.values()) link.removeAttribute("aria-current");
      const link = links.get(entry.target.id);
      if (link) link.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  for (const section of all("main > section")) watch.observe(section);

  // Long tables start folded where the screen is narrow.
  if (matchMedia("(max-width: 44rem)").matches) for (const fold of all("[data-fold]")) fold.open = false;

  // On paper everything is open.
  let opened = [];
  addEventListener("beforeprint", () => { opened = all("details:not([open])"); opened.forEach((d) => { d.open = true; }); });
  addEventListener("afterprint", () => { opened.forEach((d) => { d.open = false; }); opened = []; });
})();
