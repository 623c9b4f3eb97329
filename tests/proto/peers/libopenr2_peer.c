/* One libopenr2 channel as a process of its own, driven by lines of text.
 *
 * Usage: libopenr2_peer VARIANT MAX_ANI MAX_DNIS ANI_FIRST ADVANCED_FILE|- mfc|dtmf
 * In:  time MS | bits ABCD | tone SYMBOL|- | call ANI|- DNIS CATEGORY | offer accept|nocharge|busy|congestion|unallocated|order
 *      answer yes|no | hangup [forced] | block | idle | alarm 0|1
 * Out, until "done NEXT_MS|-": bits ABCD | tone SYMBOL|- | event NAME ...
 *
 * Tones go as symbols through the library's MF interface: "1" to "9", "0" is 10,
 * "B" to "F" are 11 to 15; DTMF as written.  With dtmf the peer wants a "time" every 20 ms
 * while it says so.  The library wants a DAHDI descriptor: ioctl, read, write and gettimeofday
 * are ours, nothing of DAHDI is needed.  libopenr2 is LGPL, dynamically linked, and lives in this process only.
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <openr2.h>             /* last: it does not include what it needs */

#define EPOCH 1700000000LL
#define FD 1000
#define BLOCK 160
/* The user interface of DAHDI: numbers of the requests, second octet 0xDA */
enum { NR_FLUSH = 3, NR_PARAMS = 5, NR_EVENT = 8, NR_IOMUX = 9, NR_GAINS = 16, NR_BUFINFO = 27, NR_ECHO = 33, NR_CHANNO = 34,
	NR_LAW = 39, NR_LINEAR = 40, NR_BITS = 43 };
enum { EVENT_ALARM = 4, EVENT_NOALARM = 5, EVENT_BITS = 13, IOMUX_READ = 1, IOMUX_WRITE = 2, IOMUX_SIGEVENT = 8, SIG_CAS = 1 << 15 };
#define PARAMS_OCTETS 136
#define BUFINFO_OCTETS 24

static long long now_ms;
static int rx_bits = -1, event_waiting, blocks, heard, offer, answering = 1;
static openr2_chan_t *channel;
static int reader, writer, dtmf;

/* DTMF: the digits to send and where we are in them, in blocks of 20 ms; what the far end plays */
static char dial[64];
static int dialled, block_of_digit, credit, detecting, played;
static openr2_digits_rx_callback_t on_digits;
static void *on_digits_data;
#define ON_BLOCKS 4
#define OFF_BLOCKS 4
static void *tx_init(void *h) { return h; }
static void tx_timing(void *h, int on, int off) { (void) h; (void) on; (void) off; }
static int tx_put(void *h, const char *digits, int len)
{
	(void) h;
	(void) len;
	snprintf(dial, sizeof dial, "%s", digits);
	dialled = block_of_digit = 0;
	return 0;
}
static int tx(void *h, int16_t amp[], int most)
{
	(void) h;
	if (!dial[dialled])
		return 0;
	memset(amp, 0, 2 * most);
	if (block_of_digit == 0)
		printf("tone %c\n", dial[dialled]);
	if (block_of_digit == ON_BLOCKS)
		printf("tone -\n");
	if (++block_of_digit == ON_BLOCKS + OFF_BLOCKS) {
		block_of_digit = 0;
		dialled++;
	}
	return most;
}
static void *rx_init(void *h, openr2_digits_rx_callback_t callback, void *data)
{
	on_digits = callback;
	on_digits_data = data;
	detecting = 1;
	return h;
}
static int rx_status(void *h) { (void) h; return heard; }
static int rx(void *h, const int16_t amp[], int n)
{
	(void) h; (void) amp; (void) n;
	char digit = heard;
	if (heard && heard != played)
		on_digits(on_digits_data, &digit, 1);
	played = heard;
	return 0;
}
static openr2_dtmf_interface_t DTMF = { .dtmf_tx_init = tx_init, .dtmf_tx_set_timing = tx_timing, .dtmf_tx_put = tx_put,
	.dtmf_tx = tx, .dtmf_rx_init = rx_init, .dtmf_rx_status = rx_status, .dtmf_rx = rx };

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	(void) zone;
	t->tv_sec = EPOCH + now_ms / 1000;
	t->tv_usec = now_ms % 1000 * 1000;
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	va_start(list, request);
	int *value = va_arg(list, int *);
	va_end(list);
	if (fd != FD)
		return syscall(SYS_ioctl, fd, request, value);
	int writes = request >> 30 & 1;		/* _IOC_WRITE: towards the driver */
	switch (request & 255) {
	case NR_CHANNO:
		*value = 1;
		return 0;
	case NR_PARAMS:
		memset(value, 0, PARAMS_OCTETS);
		value[0] = 1;
		value[3] = SIG_CAS;
		return 0;
	case NR_BUFINFO:
		if (!writes)
			memset(value, 0, BUFINFO_OCTETS);
		return 0;
	case NR_GAINS: case NR_LAW: case NR_LINEAR: case NR_ECHO: case NR_FLUSH:
		return 0;
	case NR_BITS:
		if (writes)
			printf("bits %d\n", *value);
		else
			*value = rx_bits < 0 ? 0 : rx_bits;
		return 0;
	case NR_EVENT:
		*value = event_waiting;
		event_waiting = 0;
		return 0;
	case NR_IOMUX: {
		int wanted = *value, ready = 0;
		if (event_waiting)
			ready |= IOMUX_SIGEVENT;
		if (blocks > 0)
			ready |= IOMUX_READ;
		if (credit > 0)
			ready |= IOMUX_WRITE;
		*value = wanted & ready;
		return 0;
	}
	}
	printf("event unknown_ioctl %lx\n", request);
	errno = EINVAL;
	return -1;
}

ssize_t read(int fd, void *to, size_t n)
{
	if (fd != FD)
		return syscall(SYS_read, fd, to, n);
	if (blocks <= 0) {
		errno = EAGAIN;
		return -1;
	}
	blocks--;
	if (n > BLOCK)
		n = BLOCK;
	memset(to, 0xD5, n);
	return n;
}

ssize_t write(int fd, const void *from, size_t n)
{
	if (fd != FD)
		return syscall(SYS_write, fd, from, n);
	credit--;
	return n;
}

static void *mf_init(void *handle, int forward) { (void) forward; return handle; }
static int mf_detect(void *handle, const int16_t b[], int n) { (void) handle; (void) b; (void) n; return heard; }
static int mf_generate(void *handle, int16_t b[], int n) { (void) handle; (void) b; (void) n; return 0; }
static int mf_want(void *handle, int signal) { (void) handle; (void) signal; return 0; }
static int mf_select(void *handle, char signal)
{
	(void) handle;
	if (signal)
		printf("tone %c\n", signal);
	else
		printf("tone -\n");
	return 0;
}
static openr2_mflib_interface_t MF = { .mf_read_init = mf_init, .mf_write_init = mf_init, .mf_detect_tone = mf_detect,
	.mf_generate_tone = mf_generate, .mf_select_tone = mf_select, .mf_want_generate = mf_want };

static void on_init(openr2_chan_t *c) { (void) c; printf("event init\n"); }
static void on_offered(openr2_chan_t *c, const char *ani, const char *dnis, openr2_calling_party_category_t category)
{
	static const openr2_call_disconnect_cause_t causes[] = { OR2_CAUSE_BUSY_NUMBER, OR2_CAUSE_NETWORK_CONGESTION,
		OR2_CAUSE_UNALLOCATED_NUMBER, OR2_CAUSE_OUT_OF_ORDER };
	printf("event offered %s %s %d\n", ani ? (*ani ? ani : "none") : "restricted", dnis, category);
	if (offer < 2)
		openr2_chan_accept_call(c, offer ? OR2_CALL_NO_CHARGE : OR2_CALL_WITH_CHARGE);
	else
		openr2_chan_disconnect_call(c, causes[offer - 2]);
}
static void on_accepted(openr2_chan_t *c, openr2_call_mode_t mode)
{
	printf("event accepted %d\n", mode);
	if (answering && openr2_chan_get_direction(c) == OR2_DIR_BACKWARD)
		openr2_chan_answer_call(c);
}
static void on_answered(openr2_chan_t *c) { (void) c; printf("event answered\n"); }
static void on_disconnect(openr2_chan_t *c, openr2_call_disconnect_cause_t cause)
{
	printf("event disconnect %d\n", cause);
	openr2_chan_disconnect_call(c, OR2_CAUSE_NORMAL_CLEARING);
}
static void on_end(openr2_chan_t *c) { (void) c; printf("event end\n"); }
static void on_read(openr2_chan_t *c, const unsigned char *b, int n) { (void) c; (void) b; (void) n; }
static void on_os_error(openr2_chan_t *c, int e) { (void) c; printf("event os_error %d\n", e); }
static void on_alarm(openr2_chan_t *c, int a) { (void) c; printf("event alarm %d\n", a); }
static void on_error(openr2_chan_t *c, openr2_protocol_error_t e) { (void) c; printf("event error %s\n", openr2_proto_get_error(e)); }
static void on_blocked(openr2_chan_t *c) { (void) c; printf("event blocked\n"); }
static void on_idle(openr2_chan_t *c) { (void) c; printf("event idle\n"); }
static int on_dnis(openr2_chan_t *c, char d) { (void) c; (void) d; return 1; }
static void on_ani(openr2_chan_t *c, char d) { (void) c; (void) d; }
static void on_pulse(openr2_chan_t *c) { (void) c; printf("event metering\n"); }
static openr2_event_interface_t EVENTS = { .on_call_init = on_init, .on_call_offered = on_offered,
	.on_call_accepted = on_accepted, .on_call_answered = on_answered, .on_call_disconnect = on_disconnect,
	.on_call_end = on_end, .on_call_read = on_read, .on_hardware_alarm = on_alarm, .on_os_error = on_os_error,
	.on_protocol_error = on_error, .on_line_blocked = on_blocked, .on_line_idle = on_idle,
	.on_dnis_digit_received = on_dnis, .on_ani_digit_received = on_ani, .on_billing_pulse_received = on_pulse };
static void quiet(openr2_chan_t *c, openr2_log_level_t l, const char *f, va_list a) { (void) c; (void) l; (void) f; (void) a; }

int main(int argc, char **argv)
{
	static char line[4096];
	if (argc < 5)
		return 2;
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	openr2_context_t *context = openr2_context_new(&MF, &EVENTS, NULL, openr2_proto_get_variant(argv[1]), atoi(argv[2]), atoi(argv[3]));
	if (!context)
		return 3;
	openr2_context_set_ani_first(context, atoi(argv[4]));
	openr2_context_set_log_level(context, OR2_LOG_NOTHING);
	dtmf = argc > 6 && !strcmp(argv[6], "dtmf");
	if (dtmf) {
		openr2_context_set_dtmf_interface(context, &DTMF);
		openr2_context_set_dtmf_detection(context, 1);
		openr2_context_set_dtmf_dialing(context, 1, 80, 80);
	}
	if (argc > 5 && strcmp(argv[5], "-") && openr2_context_configure_from_advanced_file(context, argv[5]))
		return 4;
	channel = openr2_chan_new_from_fd(context, FD, &writer, &reader);
	if (!channel)
		return 5;
	if (dtmf)
		openr2_chan_set_dtmf_handles(channel, &reader, &writer);
	openr2_chan_set_logging_func(channel, quiet);
	openr2_chan_set_log_level(channel, OR2_LOG_NOTHING);
	openr2_chan_set_idle(channel);
	while (fgets(line, sizeof line, stdin)) {
		char *word = strtok(line, " \n");
		char *a = strtok(NULL, " \n"), *b = strtok(NULL, " \n"), *c = strtok(NULL, " \n");
		if (!strcmp(word, "time")) {
			if (dtmf && atoll(a) / 20 != now_ms / 20)
				credit = blocks = 1;
			now_ms = atoll(a);
		}
		else if (!strcmp(word, "bits")) {
			rx_bits = atoi(a);
			event_waiting = EVENT_BITS;
		} else if (!strcmp(word, "tone")) {
			heard = *a == '-' ? 0 : *a;
			blocks = 1;
		} else if (!strcmp(word, "call"))
			printf("event call %d\n", openr2_chan_make_call(channel, *a == '-' ? NULL : a, b, atoi(c)));
		else if (!strcmp(word, "offer")) {
			static const char *names[] = { "accept", "nocharge", "busy", "congestion", "unallocated", "order" };
			for (int i = 0; i < 6; i++)
				if (!strcmp(a, names[i]))
					offer = i;
		} else if (!strcmp(word, "answer")) {
			answering = !strcmp(a, "yes");
			if (!strcmp(a, "now"))
				openr2_chan_answer_call(channel);
		} else if (!strcmp(word, "hangup"))
			openr2_chan_disconnect_call(channel, a ? OR2_CAUSE_FORCED_RELEASE : OR2_CAUSE_NORMAL_CLEARING);
		else if (!strcmp(word, "block"))
			openr2_chan_set_blocked(channel);
		else if (!strcmp(word, "idle"))
			openr2_chan_set_idle(channel);
		else if (!strcmp(word, "alarm"))
			event_waiting = atoi(a) ? EVENT_ALARM : EVENT_NOALARM;
		for (int k = 0; k < 4; k++)
			openr2_chan_process_event(channel);
		if (dtmf && (dial[dialled] || detecting)) {
			printf("done %lld\n", now_ms / 20 * 20 + 20);
			fflush(stdout);
			continue;
		}
		int next = openr2_chan_get_time_to_next_event(channel);
		if (next < 0)
			printf("done -\n");
		else
			printf("done %lld\n", now_ms + (next < 1 ? 1 : next));
		fflush(stdout);
	}
	return 0;
}
