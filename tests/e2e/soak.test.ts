/* The soak where one turn of an account runs at a time. */
import { shortSoak } from "./soak/short.ts";

shortSoak(1);
