// The clock of the page: calls back every so often, never while the tab is hidden, at once when it is seen again.

/** Return {every(seconds), stop()}: `action` runs each `seconds` (0: never), one run at a time. */
export function ticker(action) {
  let seconds = 0;
  let timer = 0;
  let due = 0;
  let stopped = false;

  const schedule = () => {
    clearTimeout(timer);
    if (stopped || !seconds || document.hidden) return;
    timer = setTimeout(run, Math.max(0, due - Date.now()));
  };
  const run = async () => {
    due = Date.now() + seconds * 1000;
    try {
      await action();
    } finally {
      schedule();
    }
  };
  const seen = () => {
    if (document.hidden) clearTimeout(timer);
    else schedule();
  };
  document.addEventListener("visibilitychange", seen);

  return {
    every(wanted) {
      seconds = wanted;
      due = Date.now() + seconds * 1000;
      schedule();
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    },
  };
}
