/* The soak where two turns of an account may run at once. */
import { shortSoak } from "./soak/short.ts";

shortSoak(2);
