import { FilesSource } from "./files.js";
import { ServerSource } from "./server.js";

/** Return where the data of this page come from: its server or, in an export, the files beside it. @returns {Source} */
export function openSource() {
  const named = /** @type {HTMLMetaElement | null} */ (document.querySelector('meta[name="attnwatch-source"]'));
  return named?.content === "files" ? new FilesSource() : new ServerSource();
}
