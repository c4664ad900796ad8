export class DetailView { constructor(app, element, id) { element.textContent = id; } close() {} }
