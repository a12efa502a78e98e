// SPDX-License-Identifier: MIT
/*
 * Which basic blocks of the handlers ran. The compiler calls __sanitizer_cov_trace_pc() at the head of each; where it
 * was called from is told once, with the outcome of the case it happened in.
 */
#include "port.h"

/* arm64 before 6.2 has a macro of this name that strips what pointer authentication would have put there. */
#undef __builtin_return_address

/* A power of two, well above the blocks of any handler. */
#define SLOTS 8192ul
#define MOST (SLOTS / 2)

static port_addr seen[SLOTS], fresh[MOST];
static port_addr nseen, nfresh;

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void)
{
	port_addr at = (port_addr)__builtin_extract_return_addr(__builtin_return_address(0));
	port_addr slot = (at >> 1 ^ at >> 8) & (SLOTS - 1);

	for (; seen[slot]; slot = (slot + 1) & (SLOTS - 1))
		if (seen[slot] == at)
			return;
	if (nseen == MOST)
		return;
	nseen++;
	seen[slot] = at;
	fresh[nfresh++] = at;
}

port_addr port_blocks_fresh(const port_addr **list)
{
	port_addr n = nfresh;

	*list = fresh;
	nfresh = 0;
	return n;
}
