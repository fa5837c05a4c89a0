// The entry: settings first, so that the first frame has its theme; then the application.

import { mount } from "svelte";
import "./app.css";
import App from "./App.svelte";
import { settings } from "./lib/settings.svelte";

document.documentElement.dataset["theme"] = settings.theme;
const target = document.getElementById("app");
if (target) mount(App, { target });
