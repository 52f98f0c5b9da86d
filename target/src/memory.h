/* For the processes that a root file system stands on. */
#pragma once

/* All memory locked, never the victim when memory is short. name: what ps shows. */
void stay_in_memory(const char *name);
