// The engine on this machine: messages by fetch, frames by server-sent events. The token stays in the address.

export class HttpEngine {
  constructor() {
    this.token = new URLSearchParams(location.search).get("token") || "";
    this.onframe = () => {};
    this.onlost = () => {};
  }

  start() {
    return new Promise((resolve, reject) => {
      this.events = new EventSource(`events?token=${encodeURIComponent(this.token)}`);
      this.events.addEventListener("hello", (event) => {
        this.page = JSON.parse(event.data).page;
        resolve();
      });
      this.events.addEventListener("frame", (event) => this.onframe(JSON.parse(event.data)));
      this.events.onerror = () => {
        this.events.close(); // a new stream would be another page, without this one's network
        reject(new Error("lost"));
        this.onlost();
      };
    });
  }

  async call(method, args = {}) {
    const answer = await fetch("call", {
      method: "POST",
      headers: { "X-Portanet-Token": this.token, "Content-Type": "application/json" },
      body: JSON.stringify({ page: this.page, method, arguments: args }),
    });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    const found = await answer.json();
    if ("error" in found) throw new Error(found.error);
    return found.result;
  }

  play(args) {
    return this.call("play", args);
  }

  pause() {
    return this.call("pause");
  }
}
