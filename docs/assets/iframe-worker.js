// The site's search where it is opened from a folder: a browser starts no worker for a page of file:, so the worker's
// script runs in a hidden frame. The theme would load such a substitute from a server.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      const inside = frame.contentWindow
      // To the script its window is a worker's: what it posts comes out here, what is posted here it hears.
      inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      const script = inside.document.createElement("script")
      script.src = url
      this.loaded = new Promise(done => (script.onload = done))
      this.inside = inside
      inside.document.body.append(script)
    }

    postMessage(data) {
      this.loaded.then(() => this.inside.dispatchEvent(new this.inside.MessageEvent("message", { data })))
    }
  }
}
