import { traces } from "./topics/traces.ts";
import { service } from "./support.ts";
traces(service());
