/* One libpri D channel as a process of its own, driven by lines of text.
 *
 * Usage: libpri_peer user|network overlap(0|1) [SWITCHTYPE of libpri.h, 5 is EuroISDN E1]
 * In:  time MS | frame HEX | setup CHANNEL EXCLUSIVE CALLED COMPLETE CALLER|- REDIRECTING|- [NAME|- [UUI]] |
 *      info CALL DIGITS | more CALL CH | proceeding CALL CH | alerting CALL CH | progress CALL CH |
 *      answer CALL CH | hangup CALL CAUSE | notify CALL CH N | reset CH | service CH STATUS
 * Out, until "done NEXT_MS|-": frame HEX | event NAME key=value ... | log TEXT
 *
 * libpri reads only gettimeofday for its timers; ours is set by "time", so a
 * test runs in the virtual time of the machine under test.  libpri is GPL: it
 * lives in this process and nowhere else.
 */
#include <libpri.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define EPOCH 1700000000LL

static long long now_ms;
static unsigned char inbox[64][1100];
static int inbox_len[64], inbox_head, inbox_tail;

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	(void) zone;
	t->tv_sec = EPOCH + now_ms / 1000;
	t->tv_usec = now_ms % 1000 * 1000;
	return 0;
}

/* libpri wants and gives whole frames with two FCS octets whose value it does not look at. */
static int take(struct pri *p, void *buf, int len)
{
	(void) p;
	if (inbox_head == inbox_tail)
		return 0;
	int n = inbox_len[inbox_head % 64];
	if (n + 2 > len)
		n = len - 2;
	memcpy(buf, inbox[inbox_head++ % 64], n);
	return n + 2;
}

static int give(struct pri *p, void *buf, int len)
{
	(void) p;
	printf("frame ");
	for (int i = 0; i < len - 2; i++)
		printf("%02x", ((unsigned char *) buf)[i]);
	printf("\n");
	return len;
}

static void complain(struct pri *p, char *text)
{
	(void) p;
	printf("log ");
	for (; *text; text++)
		putchar(*text == '\n' ? ' ' : *text);
	printf("\n");
}

static void silent(struct pri *p, char *text)
{
	(void) p;
	(void) text;
}

static void show(struct pri *p, pri_event *e)
{
	switch (e->e) {
	case PRI_EVENT_DCHAN_UP: printf("event up\n"); break;
	case PRI_EVENT_DCHAN_DOWN: printf("event down\n"); break;
	case PRI_EVENT_RESTART: printf("event restart channel=%d\n", e->restart.channel); break;
	case PRI_EVENT_RESTART_ACK: printf("event restart_ack channel=%d\n", e->restartack.channel); break;
	case PRI_EVENT_SERVICE: printf("event service channel=%d status=%d\n", e->service.channel, e->service.changestatus); break;
	case PRI_EVENT_SERVICE_ACK:
		printf("event service_ack channel=%d status=%d\n", e->service_ack.channel, e->service_ack.changestatus);
		break;
	case PRI_EVENT_RING:
		for (char *c = e->ring.callingname; *c; c++)
			if (*c == ' ')
				*c = '_';
		printf("event ring call=%p channel=%d called=%s caller=%s redirecting=%s complete=%d flexible=%d "
			"capability=%d layer1=%d name=%s plan=%d uui=%s\n", (void *) e->ring.call, e->ring.channel, e->ring.callednum,
			e->ring.callingnum, e->ring.redirectingnum, e->ring.complete, e->ring.flexible,
			e->ring.ctype, e->ring.layer1, e->ring.callingname, e->ring.calledplan, e->ring.useruserinfo);
		break;
	case PRI_EVENT_INFO_RECEIVED:
		printf("event info call=%p digits=%s complete=%d\n", (void *) e->ring.call, e->ring.callednum,
			e->ring.complete);
		break;
	case PRI_EVENT_SETUP_ACK:
		printf("event setup_ack call=%p channel=%d\n", (void *) e->setup_ack.call, e->setup_ack.channel);
		break;
	case PRI_EVENT_PROCEEDING:
	case PRI_EVENT_PROGRESS:
		printf("event %s call=%p channel=%d progress=%d\n", e->e == PRI_EVENT_PROGRESS ? "progress" : "proceeding",
			(void *) e->proceeding.call, e->proceeding.channel, e->proceeding.progressmask);
		break;
	case PRI_EVENT_RINGING:
		printf("event ringing call=%p channel=%d progress=%d\n", (void *) e->ringing.call,
			e->ringing.channel, e->ringing.progressmask);
		break;
	case PRI_EVENT_ANSWER:
		printf("event answer call=%p channel=%d\n", (void *) e->answer.call, e->answer.channel);
		break;
	case PRI_EVENT_CONNECT_ACK:
		printf("event connect_ack call=%p channel=%d\n", (void *) e->connect_ack.call, e->connect_ack.channel);
		break;
	case PRI_EVENT_NOTIFY: printf("event notify info=%d\n", e->notify.info); break;
	case PRI_EVENT_HANGUP:
	case PRI_EVENT_HANGUP_REQ:
	case PRI_EVENT_HANGUP_ACK:
		printf("event %s call=%p cause=%d\n", e->e == PRI_EVENT_HANGUP ? "hangup" :
			e->e == PRI_EVENT_HANGUP_REQ ? "hangup_req" : "hangup_ack", (void *) e->hangup.call, e->hangup.cause);
		/* HANGUP_REQ (a DISCONNECT came) is for the test to answer; the others end the call. */
		if (e->e != PRI_EVENT_HANGUP_REQ)
			pri_hangup(p, e->hangup.call, e->hangup.cause);
		break;
	default: printf("event other number=%d\n", e->e);
	}
}

static void run(struct pri *p)
{
	pri_event *e;
	while (inbox_head != inbox_tail) {
		e = pri_check_event(p);
		if (e)
			show(p, e);
	}
	for (;;) {
		struct timeval *next = pri_schedule_next(p);
		if (!next || (next->tv_sec - EPOCH) * 1000 + next->tv_usec / 1000 > now_ms)
			break;
		e = pri_schedule_run(p);
		if (e)
			show(p, e);
	}
	struct timeval *next = pri_schedule_next(p);
	if (next)
		printf("done %lld\n", (long long) (next->tv_sec - EPOCH) * 1000 + (next->tv_usec + 999) / 1000);
	else
		printf("done -\n");
	fflush(stdout);
}

static void setup(struct pri *p, int channel, int exclusive, char *called, int complete, char *caller, char *redirecting,
	char *name, char *uui)
{
	q931_call *call = pri_new_call(p);
	struct pri_sr *request = pri_sr_new();
	pri_sr_set_channel(request, channel, exclusive, 0);
	pri_sr_set_bearer(request, PRI_TRANS_CAP_SPEECH, PRI_LAYER_1_ALAW);
	pri_sr_set_called(request, strcmp(called, "-") ? called : "", PRI_NATIONAL_ISDN, complete);
	if (strcmp(caller, "-"))
		pri_sr_set_caller(request, caller, *name && strcmp(name, "-") ? name : NULL, PRI_NATIONAL_ISDN, PRES_ALLOWED_NETWORK_NUMBER);
	if (strcmp(redirecting, "-"))
		pri_sr_set_redirecting(request, redirecting, PRI_NATIONAL_ISDN, PRES_ALLOWED_NETWORK_NUMBER,
			PRI_REDIR_UNCONDITIONAL);
	if (*uui)
		pri_sr_set_useruser(request, uui);
	int result = pri_setup(p, call, request);
	pri_sr_free(request);
	printf("event out call=%p result=%d\n", (void *) call, result);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	pri_set_message(silent);
	pri_set_error(complain);
	struct pri *p = pri_new_cb(-1, strcmp(argv[1], "user") ? PRI_NETWORK : PRI_CPE,
		argc > 3 ? atoi(argv[3]) : PRI_SWITCH_EUROISDN_E1, take, give, NULL);
	pri_set_overlapdial(p, atoi(argv[2]));
	if (argc > 3 && atoi(argv[3]) != PRI_SWITCH_EUROISDN_E1)
		pri_facility_enable(p);
	run(p);
	char line[4096], verb[32], a[1024], b[1024], c[1024], d[1024], u[1024];
	while (fgets(line, sizeof line, stdin)) {
		int x = 0, y = 0, z = 0;
		void *call = NULL;
		if (sscanf(line, "%31s", verb) != 1)
			continue;
		if (!strcmp(verb, "time"))
			sscanf(line, "%*s %lld", &now_ms);
		else if (!strcmp(verb, "frame") && inbox_tail - inbox_head < 64) {
			int n = 0;
			unsigned octet;
			for (char *at = line + 6; n < 1000 && sscanf(at, "%2x", &octet) == 1; at += 2)
				inbox[inbox_tail % 64][n++] = octet;
			inbox_len[inbox_tail++ % 64] = n;
		} else if (!strcmp(verb, "setup")) {
			*d = *u = 0;
			sscanf(line, "%*s %d %d %1023s %d %1023s %1023s %1023s %1023s", &x, &y, a, &z, b, c, d, u);
			setup(p, x, y, a, z, b, c, d, u);
		} else if (!strcmp(verb, "info")) {
			sscanf(line, "%*s %p %1023s", &call, a);
			for (char *digit = a; *digit; digit++)
				pri_information(p, call, *digit);
		} else if (!strcmp(verb, "reset")) {
			sscanf(line, "%*s %d", &x);
			pri_reset(p, x);
		} else if (!strcmp(verb, "service")) {
			sscanf(line, "%*s %d %d", &x, &y);
			pri_maintenance_service(p, 1, x, y);
		} else if (sscanf(line, "%*s %p %d %d", &call, &x, &y) >= 2) {
			if (!strcmp(verb, "more"))
				pri_need_more_info(p, call, x, 0);
			else if (!strcmp(verb, "proceeding"))
				pri_proceeding(p, call, x, 0);
			else if (!strcmp(verb, "alerting"))
				pri_acknowledge(p, call, x, 1);
			else if (!strcmp(verb, "progress"))
				pri_progress(p, call, x, 1);
			else if (!strcmp(verb, "answer"))
				pri_answer(p, call, x, 0);
			else if (!strcmp(verb, "hangup"))
				pri_hangup(p, call, x);
			else if (!strcmp(verb, "notify"))
				pri_notify(p, call, x, y);
		}
		run(p);
	}
	return 0;
}
