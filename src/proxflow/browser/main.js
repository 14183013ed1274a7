// Begins when the page is read: shows what was hidden without a program, and joins the parts.
const root = document.getElementById("moving");
const given = JSON.parse(document.getElementById("exhibits").textContent);
const player = new Player(root);
let chosen = 0;

function choose(number, keep = false) {
  chosen = Math.min(number, given.exhibits.length - 1);
  const stay = keep || (player.scene && player.scene.axes.join() === given.exhibits[chosen].scene.axes.join());
  player.stop().open(given.exhibits[chosen], keep);
  if (stay && !keep) player.seek(player.scene.last);
  tabs();
}

function tabs() {
  const names = given.exhibits.length > 1 ? given.exhibits.map((exhibit) => exhibit.name) : [];
  root.querySelector(".tabs").replaceChildren(
    ...names.map((name, number) => {
      const made = element("button", { type: "button", textContent: name });
      made.setAttribute("aria-pressed", String(number === chosen));
      made.addEventListener("click", () => choose(number));
      return made;
    }),
  );
}

function dark() {
  const set = document.documentElement.dataset.theme;
  return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function theme() {
  const button = document.getElementById("theme");
  const paint = () => {
    button.textContent = dark() ? "Light" : "Dark";
    player.marks.recolour();
    if (player.scene) player.redraw();
  };
  const set = remember(() => localStorage, "proxflow theme");
  if (set) document.documentElement.dataset.theme = set;
  button.hidden = false;
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    remember(() => localStorage, "proxflow theme", document.documentElement.dataset.theme);
    paint();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  paint();
}

function begin() {
  root.hidden = false;
  choose(0);
}

theme();
if (given.exhibits.length) begin();
if (given.live) {
  const kept = remember(() => sessionStorage, KEPT);
  if (kept && player.scene) {
    choose(kept.chosen);
    if (!kept.end) player.seek(player.scene.position(kept.time));
  }
  addEventListener("pagehide", () => {
    if (!player.scene) return;
    const end = player.position >= player.scene.last;
    remember(() => sessionStorage, KEPT, { chosen, end, time: player.scene.time(player.position) });
  });
}
new Live(given.live, (news) => {
  given.exhibits = news.exhibits;
  if (given.exhibits.length && player.scene) choose(chosen, true);
  else if (given.exhibits.length) begin();
});
// For tests and for the curious: what the page shows, and where.
window.proxflow = {
  player,
  where: (index, goal = false) => player.dots.find((dot) => dot.index === index && dot.goal === goal),
};
