/* The soak where four turns of an account may run at once. */
import { shortSoak } from "./soak/short.ts";

shortSoak(4);
