/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the harness know of each other. No header of a C library and none of the kernel is needed for it:
 * main.c, runtime.c and system.c are compiled with the kernel's flags (its ABI), but without its types.
 */
#ifndef KOMULATOR_PORT_H
#define KOMULATOR_PORT_H

typedef unsigned long port_addr;

/* system.c: the machine under us. Each gives a negative errno when it fails. */
long port_read(int fd, void *to, port_addr size);
long port_write(int fd, const void *from, port_addr size);
/* Zeroed memory, readable, writable and executable; at this very address when `at` is not 0. */
void *port_map(port_addr at, port_addr size);
void port_unmap(port_addr at, port_addr size);
__attribute__((__noreturn__)) void port_exit(int code);
/* The handler must not return. */
void port_catch(int number, void (*handler)(int));

/* main.c */
__attribute__((__noreturn__)) void port_main(void);
/* What BUG() and panic() do: the case ends here. */
__attribute__((__noreturn__)) void port_bug(void);
/* An access that faults, or would but for chance. */
__attribute__((__noreturn__)) void port_wild(void);
void port_warn(void);
/* `variant` of the case that runs: run-time capabilities of the CPU. */
extern unsigned int port_variant;
/* A stub was called that nobody has written: ends the port, naming it. */
__attribute__((__noreturn__)) void port_missing(const char *name);

/* blocks.c: addresses behind the calls at the heads of blocks that ran since it was last asked, and never before. */
port_addr port_blocks_fresh(const port_addr **list);

/* runtime.c */
void *port_alloc(port_addr size);
void *port_realloc(void *old, port_addr size);
void port_free_all(void);
const char *port_log(port_addr *size);
#ifdef __i386__
#define port_asmlinkage __attribute__((__regparm__(0)))
#else
#define port_asmlinkage
#endif
port_asmlinkage int _printk(const char *format, ...);

/* glue.c: the only part that knows struct module. Regions are numbered as in docs/port-protocol.md. */
void port_module_fresh(void);
void port_module_region(unsigned int region, port_addr base, port_addr size);
port_addr port_module_text_size(void);
void port_module_percpu(port_addr address);
int port_frob(void *hdr, void *sechdrs, char *secstrings);
int port_apply_relocate(void *sechdrs, const char *strtab, unsigned int symindex, unsigned int relsec);
int port_apply_relocate_add(void *sechdrs, const char *strtab, unsigned int symindex, unsigned int relsec);
int port_finalize(void *hdr, void *sechdrs, char *secstrings);
/* arch_mod_section_prepend(): bytes in front of a section. */
unsigned int port_prepend(unsigned int section);
/* Of a trap in an object that was built by others: 1, a BUG; 2, a WARN; 0, neither. */
int port_trap_at(port_addr at);
/* What the architecture must see before a case; 0, or a sentence why this case cannot be run. */
const char *port_prepare(unsigned long long dp);

#endif
