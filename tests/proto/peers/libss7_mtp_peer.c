/* One libss7 signalling point as a process of its own, driven by lines of text.
 *
 * Usage: libss7_mtp_peer itu|ansi POINT_CODE ADJACENT LINKS
 * In:  time MS | unit LINK HEX | start | alarm LINK | noalarm LINK | block CIC
 * Out, until "done NEXT_MS|-": unit LINK HEX | event NAME [CIC] | log TEXT
 *
 * libss7 reads only gettimeofday for its timers; ours is set by "time".  Each
 * link is a socket pair that carries whole signal units and two octets where
 * the FCS would be.  A BLO is answered with BLA, so that traffic goes both
 * ways.  libss7 is GPL: it lives in this process and nowhere else.
 */
#include <libss7.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define EPOCH 1700000000LL
#define MOST 16

static long long now_ms;
static int inner[MOST], outer[MOST], links;
static unsigned adjacent;
static struct ss7 *point;

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	(void) zone;
	t->tv_sec = EPOCH + now_ms / 1000;
	t->tv_usec = now_ms % 1000 * 1000;
	return 0;
}

static void complain(struct ss7 *s, char *text)
{
	(void) s;
	printf("log ");
	for (; *text; text++)
		putchar(*text == '\n' ? ' ' : *text);
	putchar('\n');
}

static void call_null(struct ss7 *s, struct isup_call *c, int lock) { (void) s; (void) c; (void) lock; }
static int hang_up(struct ss7 *s, int cic, unsigned dpc, int cause, int act)
{
	(void) s; (void) cic; (void) dpc; (void) cause; (void) act;
	return SS7_CIC_NOT_EXISTS;
}
static void not_in_service(struct ss7 *s, int cic, unsigned dpc) { (void) s; (void) dpc; printf("event no_circuit %d\n", cic); }

/* Let libss7 work until it has nothing more to say. */
static void settle(void)
{
	unsigned char unit[1100];
	for (int busy = 1; busy;) {
		busy = 0;
		ss7_schedule_run(point);
		for (int i = 0; i < links; i++) {
			struct pollfd p = { inner[i], POLLIN, 0 };
			while (poll(&p, 1, 0) > 0 && p.revents & POLLIN) {
				ss7_read(point, inner[i]);
				busy = 1;
			}
			for (int k = 0; k < 64 && ss7_pollflags(point, inner[i]) & POLLOUT; k++)
				ss7_write(point, inner[i]);
			for (int n; (n = recv(outer[i], unit, sizeof unit, MSG_DONTWAIT)) > 2; busy = 1) {
				printf("unit %d ", i);
				for (int k = 0; k < n - 2; k++)
					printf("%02x", unit[k]);
				printf("\n");
			}
		}
		for (ss7_event *e; (e = ss7_check_event(point)); busy = 1) {
			printf("event %s", ss7_event2str(e->e));
			if (e->e == ISUP_EVENT_BLO) {
				printf(" %d", e->blo.cic);
				isup_bla(point, e->blo.call);
				isup_free_call_if_clear(point, e->blo.call);
			} else if (e->e == ISUP_EVENT_BLA) {
				printf(" %d", e->bla.cic);
				isup_free_call_if_clear(point, e->bla.call);
			}
			printf("\n");
		}
	}
}

static void load_timers(void)
{
	static const struct { char *name; int ms; } of_mtp3[] = {
		{ "t1", 800 }, { "t2", 1400 }, { "t3", 800 }, { "t4", 800 }, { "t5", 800 }, { "t6", 800 }, { "t7", 1500 },
		{ "t10", 45000 }, { "t12", 1000 }, { "t13", 1000 }, { "t14", 2500 }, { "t19", 67000 }, { "t21", 63000 },
		{ "t22", 180000 }, { "t23", 180000 }, { "q707_t1", 8000 }, { "q707_t2", 60000 } };
	for (unsigned k = 0; k < sizeof of_mtp3 / sizeof *of_mtp3; k++)
		ss7_set_mtp3_timer(point, of_mtp3[k].name, of_mtp3[k].ms);
	ss7_set_isup_timer(point, "t12", 15000);
	ss7_set_isup_timer(point, "t13", 300000);
}

int main(int argc, char **argv)
{
	static char line[4096];
	if (argc < 5)
		return 2;
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	links = atoi(argv[4]);
	adjacent = atoi(argv[3]);
	ss7_set_message(complain);
	ss7_set_error(complain);
	ss7_set_call_null(call_null);
	ss7_set_hangup(hang_up);
	ss7_set_notinservice(not_in_service);
	point = ss7_new(strcmp(argv[1], "ansi") ? SS7_ITU : SS7_ANSI);
	ss7_set_network_ind(point, SS7_NI_NAT);
	ss7_set_pc(point, atoi(argv[2]));
	load_timers();
	for (int i = 0; i < links; i++) {
		int pair[2];
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair))
			return 1;
		inner[i] = pair[0];
		outer[i] = pair[1];
		ss7_add_link(point, SS7_TRANSPORT_DAHDIMTP2, inner[i], i, adjacent);
	}
	while (fgets(line, sizeof line, stdin)) {
		char *word = strtok(line, " \n");
		char *a = strtok(NULL, " \n"), *b = strtok(NULL, " \n");
		if (!strcmp(word, "time"))
			now_ms = atoll(a);
		else if (!strcmp(word, "start"))
			ss7_start(point);
		else if (!strcmp(word, "alarm"))
			ss7_link_alarm(point, inner[atoi(a)]);
		else if (!strcmp(word, "noalarm"))
			ss7_link_noalarm(point, inner[atoi(a)]);
		else if (!strcmp(word, "block")) {
			struct isup_call *call = isup_new_call(point, atoi(a), adjacent, 0);
			if (call)
				isup_blo(point, call);
		} else if (!strcmp(word, "unit")) {
			unsigned char unit[1100];
			int n = strlen(b) / 2;
			for (int k = 0; k < n; k++)
				sscanf(b + 2 * k, "%2hhx", &unit[k]);
			unit[n] = unit[n + 1] = 0;
			send(outer[atoi(a)], unit, n + 2, 0);
		}
		settle();
		struct timeval *next = ss7_schedule_next(point);
		if (next)
			printf("done %lld\n", (long long) (next->tv_sec - EPOCH) * 1000 + (next->tv_usec + 999) / 1000);
		else
			printf("done -\n");
		fflush(stdout);
	}
	return 0;
}
