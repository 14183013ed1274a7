// Follows a run that goes on: asks its server for news, and keeps the moment and the view that were chosen.
class Live {
  constructor(live, hear) {
    Object.assign(this, { ...live, hear });
    setTimeout(() => this.ask(), 1000 * this.seconds);
  }

  async ask() {
    let wait = this.seconds;
    try {
      const answer = await fetch(`news?mark=${encodeURIComponent(this.mark)}`, { cache: "no-store" });
      const news = await answer.json();
      if (news.whole) return location.reload(); // the run has ended, or the page was of nothing yet
      if (news.mark !== this.mark) this.hear(news);
      this.mark = news.mark;
      this.say(news.said);
    } catch {
      wait = 2 * this.seconds;
      this.say("The server does not answer: was proxflow serve stopped?");
    }
    setTimeout(() => this.ask(), 1000 * wait);
  }

  say(words) {
    const verdict = document.querySelector(".verdict");
    if (words && verdict.textContent !== words) verdict.textContent = words;
  }
}

// What a reload must not lose.
const KEPT = "proxflow " + location.pathname;

function remember(store, key, value) {
  try {
    if (value === undefined) return JSON.parse(store().getItem(key));
    store().setItem(key, JSON.stringify(value));
  } catch {
    // A browser that keeps nothing of files opened from disk.
  }
  return null;
}
