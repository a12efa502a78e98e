// SPDX-License-Identifier: MIT
/*
 * The port: reads cases from stdin, does around the kernel's handlers what load_module() does, writes outcomes to
 * stdout. docs/port-protocol.md has the bytes and the order of work.
 */
#include "port.h"

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

void *memcpy(void *to, const void *from, port_addr size);
void *memmove(void *to, const void *from, port_addr size);
void *memset(void *to, int byte, port_addr size);
port_addr strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, port_addr size);
int snprintf(char *text, port_addr size, const char *format, ...);

/* ELF of the machine's own word size: what Elf_Ehdr and friends are. */

#define IS64 (sizeof(port_addr) == 8)

struct ehdr {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	port_addr entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct shdr {
	u32 name, type;
	port_addr flags, addr, offset, size;
	u32 link, info;
	port_addr addralign, entsize;
};

#if __SIZEOF_LONG__ == 8
struct sym {
	u32 name;
	u8 info, other;
	u16 shndx;
	u64 value, size;
};
#else
struct sym {
	u32 name, value, size;
	u8 info, other;
	u16 shndx;
};
#endif

enum { SHT_SYMTAB = 2, SHT_RELA = 4, SHT_NOBITS = 8, SHT_REL = 9 };
enum { SHF_ALLOC = 2, SHF_RELA_LIVEPATCH = 0x00100000 };
enum { SHN_UNDEF = 0, SHN_LIVEPATCH = 0xff20, SHN_ABS = 0xfff1, SHN_COMMON = 0xfff2 };
enum { STB_WEAK = 2 };
enum { EM_386 = 3, EM_X86_64 = 62 };
enum { ENOENT = 2, ENOEXEC = 8, ENOMEM = 12 };

enum stage { DONE, FROB, SYMBOLS, RELOCATE, FINALIZE };

/* Of the flags of a case; the others are the variant. */
#define FLAG_FINALIZE 0x80000000u

#define REGIONS 7
#define PAGE 4096ul
/* Bytes behind the file's image that a section which frob made larger may be copied from. */
#define IMAGE_SLACK (1ul << 16)

struct number_value {
	u32 number;
	port_addr value;
};

struct range {
	port_addr start, end;
};

struct port_case {
	u32 number;
	int finalize;
	u64 dp;
	struct {
		port_addr base, size;
	} mem[REGIONS];
	u32 nplaces, nsymbols, elf_size;
	struct number_value *places, *symbols;
	u8 *elf;
};

struct module_image {
	struct ehdr *hdr;
	struct shdr *sechdrs;
	const char *secstrings;
	u32 symindex, pcpu;
	const char *strtab;
	port_addr text_head;
	/* Bytes that belong to a section and lie in front of it; used up while relocations are applied. */
	u32 *prepend;
};

unsigned int port_variant;

static u32 warns;

void port_warn(void)
{
	warns++;
}

/* Trouble that is ours, not the kernel's: said on stderr; the port ends. */

static void say(const char *text)
{
	port_write(2, text, strlen(text));
}

static __attribute__((__noreturn__)) void give_up(const char *why, const char *what)
{
	say("port: ");
	say(why);
	say(what);
	say("\n");
	port_exit(70);
}

void port_missing(const char *name)
{
	give_up("the handler called what the harness has no stub for: ", name);
}

/* Input. */

static u8 input[1 << 16];
static port_addr input_at, input_end;

static void read_bytes(void *to, port_addr size)
{
	u8 *t = to;

	while (size) {
		port_addr n = input_end - input_at;

		if (!n) {
			long got = port_read(0, input, sizeof(input));

			if (got <= 0)
				port_exit(0);
			input_at = 0;
			input_end = got;
			continue;
		}
		if (n > size)
			n = size;
		memcpy(t, input + input_at, n);
		input_at += n;
		t += n;
		size -= n;
	}
}

static u32 read_u32(void)
{
	u8 b[4];

	read_bytes(b, 4);
	return b[0] | b[1] << 8 | b[2] << 16 | (u32)b[3] << 24;
}

static u64 read_u64(void)
{
	u32 low = read_u32();

	return (u64)read_u32() << 32 | low;
}

static struct number_value *read_table(u32 *count)
{
	struct number_value *table;
	u32 i;

	*count = read_u32();
	table = port_alloc((*count + 1ul) * sizeof(*table));
	if (!table)
		give_up("a case is too large", "");
	for (i = 0; i < *count; i++) {
		table[i].number = read_u32();
		table[i].value = (port_addr)read_u64();
	}
	return table;
}

/* The temporary image, kept from case to case. */
static u8 *file;
static port_addr file_size;

static void read_case(struct port_case *c)
{
	u32 i;

	if (read_u32() != 0x314d4f4b)
		give_up("what comes on stdin is no case", "");
	c->number = read_u32();
	port_variant = read_u32();
	c->finalize = (port_variant & FLAG_FINALIZE) != 0;
	port_variant &= ~FLAG_FINALIZE;
	c->dp = read_u64();
	for (i = 0; i < REGIONS; i++) {
		c->mem[i].base = (port_addr)read_u64();
		c->mem[i].size = (port_addr)read_u64();
	}
	c->places = read_table(&c->nplaces);
	c->symbols = read_table(&c->nsymbols);
	c->elf_size = read_u32();
	if (c->elf_size + IMAGE_SLACK > file_size) {
		file_size = (c->elf_size + IMAGE_SLACK) * 2;
		file = port_map(0, file_size);
		if ((port_addr)file > -PAGE)
			give_up("a case is too large", "");
	}
	c->elf = file;
	read_bytes(c->elf, c->elf_size);
	memset(c->elf + c->elf_size, 0, IMAGE_SLACK);
}

/* Output: one outcome is gathered, then written at once. */

static u8 output[1 << 16];
static port_addr output_size;

static void flush(void)
{
	port_addr done = 0;

	while (done < output_size) {
		long n = port_write(1, output + done, output_size - done);

		if (n <= 0)
			port_exit(71);
		done += n;
	}
	output_size = 0;
}

static void write_bytes(const void *from, port_addr size)
{
	const u8 *f = from;

	while (size) {
		port_addr n = sizeof(output) - output_size;

		if (!n) {
			flush();
			continue;
		}
		if (n > size)
			n = size;
		memcpy(output + output_size, f, n);
		output_size += n;
		f += n;
		size -= n;
	}
}

static void write_u32(u32 value)
{
	u8 b[4] = {(u8)value, (u8)(value >> 8), (u8)(value >> 16), (u8)(value >> 24)};

	write_bytes(b, 4);
}

static void write_blob(const void *from, port_addr size)
{
	write_u32((u32)size);
	write_bytes(from, size);
}

/* Memory at the addresses of the case. What is mapped stays mapped while the next case wants the same. */

#define MOST_RANGES 4096

static struct range mapped[MOST_RANGES], wanted[MOST_RANGES];
static u32 nmapped, nwanted;

static void want(port_addr start, port_addr size)
{
	struct range r = {start & ~(PAGE - 1), (start + size + PAGE - 1) & ~(PAGE - 1)};
	u32 i;

	if (!size)
		return;
	for (i = 0; i < nwanted; i++) {
		if (wanted[i].start <= r.start && r.end <= wanted[i].end)
			return;
		/* Neighbours become one. */
		if (r.start <= wanted[i].end && wanted[i].start <= r.end) {
			if (wanted[i].start < r.start)
				r.start = wanted[i].start;
			if (wanted[i].end > r.end)
				r.end = wanted[i].end;
			wanted[i] = wanted[--nwanted];
			i = ~0u;
		}
	}
	if (nwanted == MOST_RANGES)
		give_up("a case has too many sections", "");
	wanted[nwanted++] = r;
}

static void map_wanted(void)
{
	u32 i;
	int same = nmapped == nwanted;

	for (i = 0; same && i < nwanted; i++)
		same = mapped[i].start == wanted[i].start && mapped[i].end == wanted[i].end;
	if (same)
		return;
	for (i = 0; i < nmapped; i++)
		port_unmap(mapped[i].start, mapped[i].end - mapped[i].start);
	nmapped = 0;
	for (i = 0; i < nwanted; i++) {
		if (port_map(wanted[i].start, wanted[i].end - wanted[i].start) != (void *)wanted[i].start) {
			char where[64];

			snprintf(where, sizeof(where), "0x%lx to 0x%lx", wanted[i].start, wanted[i].end);
			give_up("cannot have the memory a case asks for: ", where);
		}
		mapped[nmapped++] = wanted[i];
	}
}

/* Zeros what a case may have left, and a little behind it: the next case must not find it. */
static void wipe(port_addr start, port_addr size)
{
	u32 i;

	for (i = 0; i < nmapped; i++) {
		port_addr end = mapped[i].end;

		if (start < mapped[i].start || start >= end)
			continue;
		if (end - start > size + 256)
			end = start + size + 256;
		memset((void *)start, 0, end - start);
	}
}

/* The steps of load_module(), named as there. */

static port_addr place_of(const struct port_case *c, u32 section, int *found)
{
	u32 i;

	for (i = 0; i < c->nplaces; i++)
		if (c->places[i].number == section) {
			*found = 1;
			return c->places[i].value;
		}
	*found = 0;
	return 0;
}

static const char *section_name(const struct module_image *m, u32 i)
{
	return m->secstrings + m->sechdrs[i].name;
}

static void open_image(const struct port_case *c, struct module_image *m)
{
	static const u16 one = 1;
	struct ehdr *hdr = (struct ehdr *)c->elf;
	u32 i;

	if (c->elf_size < sizeof(*hdr) || c->elf[0] != 0x7f || c->elf[4] != (IS64 ? 2 : 1) ||
	    c->elf[5] != (*(const u8 *)&one ? 1 : 2) || hdr->shentsize != sizeof(struct shdr) ||
	    hdr->shoff > c->elf_size || hdr->shnum * sizeof(struct shdr) > c->elf_size - hdr->shoff ||
	    hdr->shstrndx >= hdr->shnum)
		give_up("a case has no ELF file of this word size and byte order", "");
	m->hdr = hdr;
	m->sechdrs = (struct shdr *)(c->elf + hdr->shoff);
	m->secstrings = (const char *)c->elf + m->sechdrs[hdr->shstrndx].offset;
	m->symindex = 0;
	m->pcpu = 0;
	m->strtab = "";
	m->text_head = 0;
	m->sechdrs[0].addr = 0;
	for (i = 1; i < hdr->shnum; i++) {
		struct shdr *s = &m->sechdrs[i];
		const char *name = section_name(m, i);

		s->addr = (port_addr)c->elf + s->offset;
		if (s->type == SHT_SYMTAB && !m->symindex)
			m->symindex = i;
		if (!m->pcpu && (s->flags & SHF_ALLOC) && !strcmp(name, ".data..percpu"))
			m->pcpu = i;
		/* rewrite_section_headers() keeps both out of the module. */
		if (!strcmp(name, ".modinfo") || !strcmp(name, "__versions"))
			s->flags &= ~(port_addr)SHF_ALLOC;
	}
	if (m->symindex && m->sechdrs[m->symindex].link < hdr->shnum)
		m->strtab = (const char *)m->sechdrs[m->sechdrs[m->symindex].link].addr;
}

/* Base and size of regions are known from layout on; frob hooks count on 0 before. */
static void layout(const struct port_case *c, struct module_image *m)
{
	u32 i;

	m->text_head = port_module_text_size();
	m->prepend = port_alloc(m->hdr->shnum * sizeof(*m->prepend));
	if (!m->prepend)
		give_up("a case is too large", "");
	/* Section 0 has no stubs: what it wants is what every section may leave unused. */
	for (i = 1; i < m->hdr->shnum; i++)
		if (port_prepend(i) > port_prepend(0))
			m->prepend[i] = port_prepend(i);
	for (i = 0; i < REGIONS; i++)
		if (c->mem[i].base || c->mem[i].size)
			port_module_region(i, c->mem[i].base,
					   c->mem[i].size || i ? c->mem[i].size : m->text_head);
}

static void move_module(const struct port_case *c, struct module_image *m)
{
	u32 i;
	int found;

	nwanted = 0;
	for (i = 0; i < REGIONS; i++)
		want(c->mem[i].base, c->mem[i].size);
	for (i = 1; i < m->hdr->shnum; i++) {
		struct shdr *s = &m->sechdrs[i];
		port_addr at = place_of(c, i, &found);

		if (i == m->pcpu) {
			if (found)
				port_module_percpu(at);
			s->flags &= ~(port_addr)SHF_ALLOC;
			continue;
		}
		if (!(s->flags & SHF_ALLOC))
			continue;
		if (!found)
			give_up("a case has no address for section ", section_name(m, i));
		want(at, s->size);
	}
	map_wanted();
	for (i = 1; i < m->hdr->shnum; i++) {
		struct shdr *s = &m->sechdrs[i];
		port_addr at;

		if (!(s->flags & SHF_ALLOC))
			continue;
		at = place_of(c, i, &found);
		if (s->type == SHT_NOBITS)
			memset((void *)at, 0, s->size);
		else
			memcpy((void *)at, (void *)s->addr, s->size);
		s->addr = at;
	}
}

static int simplify_symbols(const struct port_case *c, struct module_image *m)
{
	struct shdr *symsec = &m->sechdrs[m->symindex];
	struct sym *sym = (struct sym *)symsec->addr;
	port_addr n = symsec->size / sizeof(*sym), i;
	const u32 *listed;
	u32 *index;
	int ret = 0;

	if (!m->symindex)
		return 0;
	/* Number of a symbol → its entry in the case's table, plus one. */
	index = port_alloc((n + 1) * sizeof(*index));
	if (!index)
		give_up("a case is too large", "");
	for (i = 0; i < c->nsymbols; i++)
		if (c->symbols[i].number < n)
			index[c->symbols[i].number] = (u32)i + 1;
	listed = index;
	for (i = 1; i < n; i++) {
		const char *name = m->strtab + sym[i].name;

		switch (sym[i].shndx) {
		case SHN_COMMON:
			if (!strncmp(name, "__gnu_lto", 9))
				break;
			_printk("%s: please compile with -fno-common\n", "fix");
			ret = -ENOEXEC;
			break;
		case SHN_ABS:
		case SHN_LIVEPATCH:
			break;
		case SHN_UNDEF:
			if (listed[i]) {
				sym[i].value = c->symbols[listed[i] - 1].value;
				break;
			}
			if (sym[i].info >> 4 == STB_WEAK)
				break;
			if ((m->hdr->machine == EM_386 || m->hdr->machine == EM_X86_64) &&
			    !strcmp(name, "_GLOBAL_OFFSET_TABLE_"))
				break;
			ret = -ENOENT;
			_printk("%s: Unknown symbol %s (err %d)\n", "fix", name, ret);
			break;
		default:
			if (sym[i].shndx >= m->hdr->shnum) {
				_printk("%s: Symbol %s has an invalid section index %u (max %u)\n", "fix", name,
					sym[i].shndx, m->hdr->shnum - 1);
				ret = -ENOEXEC;
				break;
			}
			if (sym[i].shndx == m->pcpu) {
				int found;

				sym[i].value += place_of(c, m->pcpu, &found);
			} else {
				sym[i].value += m->sechdrs[sym[i].shndx].addr;
			}
		}
	}
	return ret;
}

static int apply_relocations(struct module_image *m)
{
	u32 i;
	int ret = 0;

	for (i = 1; i < m->hdr->shnum && ret >= 0; i++) {
		const struct shdr *s = &m->sechdrs[i];

		if (s->info >= m->hdr->shnum || !(m->sechdrs[s->info].flags & SHF_ALLOC) ||
		    (s->flags & SHF_RELA_LIVEPATCH))
			continue;
		if (s->type == SHT_REL)
			ret = port_apply_relocate(m->sechdrs, m->strtab, m->symindex, i);
		else if (s->type == SHT_RELA)
			ret = port_apply_relocate_add(m->sechdrs, m->strtab, m->symindex, i);
	}
	return ret < 0 ? ret : 0;
}

static void write_outcome(const struct port_case *c, int ret, enum stage stage, int crashed)
{
	port_addr size;
	const char *log = port_log(&size);

	write_u32(0x324d4f4b);
	write_u32(c->number);
	write_u32((u32)ret);
	write_u32(stage);
	write_u32(crashed);
	write_u32(warns);
	write_blob(log, size);
}

static void write_sections(const struct module_image *m)
{
	u32 i, n = 0;

	for (i = 1; i < m->hdr->shnum; i++)
		if (m->sechdrs[i].flags & SHF_ALLOC)
			n++;
	write_u32(n);
	for (i = 1; i < m->hdr->shnum; i++)
		if (m->sechdrs[i].flags & SHF_ALLOC) {
			write_u32(i);
			write_blob((const void *)m->sechdrs[i].addr, m->sechdrs[i].size);
		}
}

/* What ran for the first time: one of the extras, when it is not empty. */
static void write_reached(port_addr n, const port_addr *list)
{
	port_addr i;

	if (!n)
		return;
	write_blob("#reached", 8);
	write_u32((u32)n * 8);
	for (i = 0; i < n; i++) {
		write_u32((u32)list[i]);
		write_u32((u32)((u64)list[i] >> 32));
	}
}

/* Of a case without memory to show. */
static void write_no_sections(void)
{
	const port_addr *list;
	port_addr reached = port_blocks_fresh(&list);

	write_u32(0);
	write_u32(reached != 0);
	write_reached(reached, list);
}

static void write_extra(const struct port_case *c, const struct module_image *m)
{
	const port_addr *list;
	port_addr reached = port_blocks_fresh(&list);
	u32 i, n = (m->text_head != 0) + (reached != 0);
	char name[256];

	for (i = 1; i < m->hdr->shnum; i++)
		if ((m->sechdrs[i].flags & SHF_ALLOC) && m->prepend[i])
			n++;
	write_u32(n);
	write_reached(reached, list);
	if (m->text_head) {
		write_blob("#mem.text.head", 14);
		write_blob((const void *)c->mem[0].base, m->text_head);
	}
	for (i = 1; i < m->hdr->shnum; i++) {
		u32 size = (m->sechdrs[i].flags & SHF_ALLOC) ? m->prepend[i] : 0;

		if (!size)
			continue;
		write_blob(name, snprintf(name, sizeof(name), "%s#stubs", section_name(m, i)));
		write_blob((const void *)(m->sechdrs[i].addr - size), size);
	}
}

static void clean_up(const struct port_case *c, const struct module_image *m, enum stage reached)
{
	u32 i;

	if (reached == FROB)
		return;
	for (i = 1; i < m->hdr->shnum; i++)
		if (m->sechdrs[i].flags & SHF_ALLOC)
			wipe(m->sechdrs[i].addr - m->prepend[i], m->sechdrs[i].size + m->prepend[i]);
	if (m->text_head)
		wipe(c->mem[0].base, m->text_head);
}

static struct port_case current_case;
static struct module_image image;
static enum stage reached;
/* Whether the kernel's code runs: a signal is the outcome of the case, and not our own fault. */
static int in_kernel;

static int load(void)
{
	int ret;

	reached = FROB;
	in_kernel = 1;
	ret = port_frob(image.hdr, image.sechdrs, (char *)image.secstrings);
	in_kernel = 0;
	if (ret < 0)
		return ret;
	layout(&current_case, &image);
	move_module(&current_case, &image);
	reached = SYMBOLS;
	ret = simplify_symbols(&current_case, &image);
	if (ret < 0)
		return ret;
	reached = RELOCATE;
	in_kernel = 1;
	ret = apply_relocations(&image);
	if (ret >= 0 && current_case.finalize) {
		reached = FINALIZE;
		ret = port_finalize(image.hdr, image.sechdrs, (char *)image.secstrings);
	}
	in_kernel = 0;
	return ret;
}

static __attribute__((__noreturn__)) void serve(void);

static void end_case(void)
{
	flush();
	clean_up(&current_case, &image, reached);
	port_free_all();
}

static void run_case(void)
{
	const char *unable;
	int ret;

	warns = 0;
	port_module_fresh();
	open_image(&current_case, &image);
	unable = port_prepare(current_case.dp);
	if (unable)
		give_up(unable, "");
	ret = load();
	write_outcome(&current_case, ret, ret ? reached : DONE, 0);
	if (reached == FROB) {
		write_no_sections();
	} else {
		write_sections(&image);
		write_extra(&current_case, &image);
	}
	end_case();
}

/*
 * Nobody returns from a BUG or a signal, and not every compiler can jump out of the kernel's frames in every ABI: the
 * next case begins on top of them. Before the stack gets too high the port leaves, and is started anew.
 */
#define MOST_CRASHES 300

static __attribute__((__noreturn__)) void crash(u32 how)
{
	static u32 crashes;

	in_kernel = 0;
	write_outcome(&current_case, 0, DONE, how);
	write_no_sections();
	end_case();
	if (++crashes == MOST_CRASHES)
		port_exit(0);
	serve();
}

void port_bug(void)
{
	crash(1);
}

#define CAUGHT 0x100

void port_wild(void)
{
	crash(CAUGHT + 11);
}

#ifdef PORT_OBJECTS
/* siginfo: three ints, then, in the order of its size, the address. */
static void on_signal(int number, const u8 *info)
{
	int trap = 0;

	if (!in_kernel)
		give_up("the harness itself has crashed", "");
	if (number == 4 || number == 5)
		trap = port_trap_at(*(const port_addr *)(info + (IS64 ? 16 : 12)));
	crash(trap ? (u32)trap : (u32)(CAUGHT + number));
}
#define handler_of(function) ((void (*)(int))(void *)(function))
#else
static void on_signal(int number)
{
	if (!in_kernel)
		give_up("the harness itself has crashed", "");
	crash(CAUGHT + number);
}
#define handler_of(function) (function)
#endif

static void serve(void)
{
	for (;;) {
		read_case(&current_case);
		run_case();
	}
}

void port_main(void)
{
	/* Illegal instruction, trap, arithmetic, bus error, memory: numbered alike, but for bus errors. */
	static const u8 numbers[] = {4, 5, 7, 8, 10, 11};
	u32 i;

	for (i = 0; i < sizeof(numbers); i++)
		port_catch(numbers[i], handler_of(on_signal));
	serve();
}
