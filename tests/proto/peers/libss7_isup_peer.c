/* One libss7 exchange as a process of its own: MTP3 and ISUP, driven by lines of text.
 *
 * Usage: libss7_isup_peer itu|ansi POINT_CODE ADJACENT LINKS
 * In:  time MS | unit LINK HEX | start | alarm LINK | noalarm LINK
 *      call CIC CALLED CALLER REDIRECTING|- | acm CIC | cpg CIC EVENT | anm CIC | con CIC | rel CIC CAUSE
 *      sus CIC 0|1 | res CIC 0|1 | blo CIC | ubl CIC | rsc CIC | grs FIRST LAST
 *      cgb FIRST LAST TYPE | cgu FIRST LAST TYPE | forget CIC (as if the call had never been)
 * Out, until "done NEXT_MS|-": unit LINK HEX | event NAME KEY=VALUE... | log TEXT
 *
 * What an exchange must answer by itself it answers: REL and RSC with RLC, GRS, CGB, CGU, BLO, UBL with
 * their acknowledgements, CQM with CQR.  libss7 reads only gettimeofday for its timers; ours is set by "time".  libss7 is
 * GPL: it lives in this process and nowhere else.
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
#define CICS 64

static long long now_ms;
static int inner[MOST], outer[MOST], links;
static unsigned adjacent;
static struct ss7 *point;
static struct isup_call *calls[CICS];
static unsigned char direction[CICS];	/* circuit state of Q.763 3.14: 0x04 incoming, 0x08 outgoing */
static int again = -1;                  /* a circuit whose IAM is to be told once more: our own call gave way */

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

static void call_null(struct ss7 *s, struct isup_call *c, int lock)
{
	(void) s; (void) lock;
	for (int i = 0; i < CICS; i++)
		if (calls[i] == c)
			calls[i] = NULL;
}
static int hang_up(struct ss7 *s, int cic, unsigned dpc, int cause, int act)
{
	(void) s; (void) dpc;
	printf("event hangup cic=%d cause=%d act=%d\n", cic, cause, act);
	if (act == SS7_HANGUP_REEVENT_IAM)
		again = cic;
	return cic < CICS && calls[cic] ? SS7_CIC_USED : SS7_CIC_IDLE;
}
static void not_in_service(struct ss7 *s, int cic, unsigned dpc) { (void) s; (void) dpc; printf("event no_circuit cic=%d\n", cic); }

static void forget(struct isup_call *c)
{
	call_null(point, c, 0);
	isup_free_call_if_clear(point, c);
}

static void keep(int cic, struct isup_call *c)
{
	if (cic >= 0 && cic < CICS)
		calls[cic] = c;
}

static void take(ss7_event *e)
{
	static unsigned char none[255], states[255];
	printf("event %s", ss7_event2str(e->e));
	switch (e->e) {
	case ISUP_EVENT_IAM:
		printf(" cic=%d called=%s nai=%d caller=%s pres=%d screen=%d redirecting=%s reason=%d category=%d medium=%d check=%d\n", e->iam.cic,
			e->iam.called_party_num, e->iam.called_nai, e->iam.calling_party_num, e->iam.presentation_ind, e->iam.screening_ind,
			e->iam.redirecting_num, e->iam.redirect_info_reas, e->iam.calling_party_cat, e->iam.transcap, e->iam.cot_check_required);
		keep(e->iam.cic, e->iam.call);
		if (e->iam.cic < CICS)
			direction[e->iam.cic] = 0x04;
		return;
	case ISUP_EVENT_SAM:
		printf(" cic=%d digits=%s\n", e->sam.cic, e->sam.called_party_num);
		return;
	case ISUP_EVENT_ACM:
		printf(" cic=%d status=%d\n", e->acm.cic, e->acm.called_party_status_ind);
		return;
	case ISUP_EVENT_CPG:
		printf(" cic=%d event=%d\n", e->cpg.cic, e->cpg.event);
		return;
	case ISUP_EVENT_CON:
		printf(" cic=%d connected=%s\n", e->con.cic, e->con.connected_num);
		return;
	case ISUP_EVENT_ANM:
		printf(" cic=%d connected=%s\n", e->anm.cic, e->anm.connected_num);
		return;
	case ISUP_EVENT_COT:
		printf(" cic=%d passed=%d\n", e->cot.cic, e->cot.passed);
		return;
	case ISUP_EVENT_CCR:
		printf(" cic=%d\n", e->ccr.cic);
		return;
	case ISUP_EVENT_SUS:
	case ISUP_EVENT_RES:
		printf(" cic=%d network=%d\n", e->sus.cic, e->sus.network_isdn_indicator);
		return;
	case ISUP_EVENT_REL:
		printf(" cic=%d cause=%d\n", e->rel.cic, e->rel.cause);
		isup_rlc(point, e->rel.call);
		forget(e->rel.call);
		return;
	case ISUP_EVENT_RLC:
		printf(" cic=%d\n", e->rlc.cic);
		forget(e->rlc.call);
		return;
	case ISUP_EVENT_RSC:
		printf(" cic=%d\n", e->rsc.cic);
		isup_rlc(point, e->rsc.call);
		forget(e->rsc.call);
		return;
	case ISUP_EVENT_BLO:
		printf(" cic=%d\n", e->blo.cic);
		isup_bla(point, e->blo.call);
		isup_free_call_if_clear(point, e->blo.call);
		return;
	case ISUP_EVENT_UBL:
		printf(" cic=%d\n", e->ubl.cic);
		isup_uba(point, e->ubl.call);
		isup_free_call_if_clear(point, e->ubl.call);
		return;
	case ISUP_EVENT_BLA:
	case ISUP_EVENT_UBA:
		printf(" cic=%d\n", e->bla.cic);
		isup_free_call_if_clear(point, e->bla.call);
		return;
	case ISUP_EVENT_CQM:
		printf(" first=%d last=%d\n", e->cqm.startcic, e->cqm.endcic);
		for (int i = e->cqm.startcic; i <= e->cqm.endcic && i < CICS; i++)
			states[i - e->cqm.startcic] = calls[i] ? direction[i] : 0x0C;
		isup_cqr(point, e->cqm.startcic, e->cqm.endcic, adjacent, states);
		isup_free_call_if_clear(point, e->cqm.call);
		return;
	case ISUP_EVENT_GRS:
		printf(" first=%d last=%d\n", e->grs.startcic, e->grs.endcic);
		isup_gra(point, e->grs.call, e->grs.endcic, none);
		isup_free_call_if_clear(point, e->grs.call);
		return;
	case ISUP_EVENT_CGB:
		printf(" first=%d last=%d type=%d\n", e->cgb.startcic, e->cgb.endcic, e->cgb.type);
		isup_cgba(point, e->cgb.call, e->cgb.endcic, e->cgb.status);
		isup_free_call_if_clear(point, e->cgb.call);
		return;
	case ISUP_EVENT_CGU:
		printf(" first=%d last=%d type=%d\n", e->cgu.startcic, e->cgu.endcic, e->cgu.type);
		isup_cgua(point, e->cgu.call, e->cgu.endcic, e->cgu.status);
		isup_free_call_if_clear(point, e->cgu.call);
		return;
	case ISUP_EVENT_GRA:
	case ISUP_EVENT_CGBA:
	case ISUP_EVENT_CGUA:
		printf(" first=%d last=%d type=%d\n", e->gra.startcic, e->gra.endcic, e->gra.type);
		isup_free_call_if_clear(point, e->gra.call);
		return;
	}
	printf("\n");
}

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
		for (ss7_event *e; (e = ss7_check_event(point)); busy = 1)
			take(e);
		if (again >= 0 && again < CICS && calls[again]) {
			isup_clear_callflags(point, calls[again], ISUP_SENT_IAM);
			isup_event_iam(point, calls[again], adjacent);
			busy = 1;
		}
		again = -1;
	}
}

static void load_timers(void)
{
	static const struct { char *name; int ms; } of_mtp3[] = {
		{ "t1", 800 }, { "t2", 1400 }, { "t3", 800 }, { "t4", 800 }, { "t5", 800 }, { "t6", 800 }, { "t7", 1500 },
		{ "t10", 45000 }, { "t12", 1000 }, { "t13", 1000 }, { "t14", 2500 }, { "t19", 67000 }, { "t21", 63000 },
		{ "t22", 180000 }, { "t23", 180000 }, { "q707_t1", 8000 }, { "q707_t2", 60000 } }, of_isup[] = {
		{ "t1", 15000 }, { "t2", 180000 }, { "t5", 300000 }, { "t6", 60000 }, { "t7", 20000 }, { "t8", 10000 }, { "t10", 4000 },
		{ "t12", 15000 }, { "t13", 300000 }, { "t14", 15000 }, { "t15", 300000 }, { "t16", 15000 }, { "t17", 300000 },
		{ "t18", 15000 }, { "t19", 300000 }, { "t20", 15000 }, { "t21", 300000 }, { "t22", 15000 }, { "t23", 300000 },
		{ "t27", 240000 }, { "t33", 12000 }, { "t35", 15000 } };
	for (unsigned k = 0; k < sizeof of_mtp3 / sizeof *of_mtp3; k++)
		ss7_set_mtp3_timer(point, of_mtp3[k].name, of_mtp3[k].ms);
	for (unsigned k = 0; k < sizeof of_isup / sizeof *of_isup; k++)
		ss7_set_isup_timer(point, of_isup[k].name, of_isup[k].ms);
}

static void originate(int cic, const char *called, const char *caller, const char *redirecting)
{
	struct isup_call *c = isup_new_call(point, cic, adjacent, 1);
	if (!c) {
		printf("log no call for CIC %d\n", cic);
		return;
	}
	keep(cic, c);
	if (cic < CICS)
		direction[cic] = 0x08;
	isup_set_called(c, called, SS7_NAI_NATIONAL, point);
	isup_set_calling(c, caller, SS7_NAI_NATIONAL, SS7_PRESENTATION_ALLOWED, SS7_SCREENING_NETWORK_PROVIDED);
	isup_set_tmr(c, SS7_TMR_3K1_AUDIO);
	if (strcmp(redirecting, "-")) {
		isup_set_redirecting_number(c, redirecting, SS7_NAI_NATIONAL, 0, 3);
		isup_set_redirection_info(c, 3, 0, 1, 2);
		isup_set_orig_called_num(c, redirecting, SS7_NAI_NATIONAL, 0, 3);
	}
	isup_iam(point, c);
}

static void with_call(const char *word, int cic, int b)
{
	struct isup_call *c = cic >= 0 && cic < CICS ? calls[cic] : NULL;
	if (!c)
		printf("log no call on CIC %d for %s\n", cic, word);
	else if (!strcmp(word, "forget"))
		calls[cic] = NULL;
	else if (!strcmp(word, "acm"))
		isup_acm(point, c);
	else if (!strcmp(word, "cpg"))
		isup_cpg(point, c, b);
	else if (!strcmp(word, "anm"))
		isup_anm(point, c);
	else if (!strcmp(word, "con"))
		isup_con(point, c);
	else if (!strcmp(word, "rel"))
		isup_rel(point, c, b);
	else if (!strcmp(word, "sus"))
		isup_sus(point, c, b);
	else if (!strcmp(word, "res"))
		isup_res(point, c, b);
}

static void supervise(const char *word, int first, int last, int type)
{
	static unsigned char status[255];
	struct isup_call *c = isup_new_call(point, first, adjacent, 0);
	for (int i = 0; i <= last - first && i < 255; i++)
		status[i] = 1;
	if (!c)
		printf("log no call for %s on CIC %d\n", word, first);
	else if (!strcmp(word, "blo"))
		isup_blo(point, c);
	else if (!strcmp(word, "ubl"))
		isup_ubl(point, c);
	else if (!strcmp(word, "rsc"))
		isup_rsc(point, c);
	else if (!strcmp(word, "grs"))
		isup_grs(point, c, last);
	else if (!strcmp(word, "cgb"))
		isup_cgb(point, c, last, status, type);
	else if (!strcmp(word, "cgu"))
		isup_cgu(point, c, last, status, type);
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
		char *a = strtok(NULL, " \n"), *b = strtok(NULL, " \n"), *c = strtok(NULL, " \n"), *d = strtok(NULL, " \n");
		int n = a ? atoi(a) : 0, m = b ? atoi(b) : 0;
		if (!strcmp(word, "time"))
			now_ms = atoll(a);
		else if (!strcmp(word, "start"))
			ss7_start(point);
		else if (!strcmp(word, "alarm"))
			ss7_link_alarm(point, inner[n]);
		else if (!strcmp(word, "noalarm"))
			ss7_link_noalarm(point, inner[n]);
		else if (!strcmp(word, "call"))
			originate(n, b, c, d);
		else if (!strcmp(word, "unit")) {
			unsigned char unit[1100];
			int size = strlen(b) / 2;
			for (int k = 0; k < size; k++)
				sscanf(b + 2 * k, "%2hhx", &unit[k]);
			unit[size] = unit[size + 1] = 0;
			send(outer[n], unit, size + 2, 0);
		} else if (strstr("blo ubl rsc grs cgb cgu", word))
			supervise(word, n, m, c ? atoi(c) : 0);
		else
			with_call(word, n, m);
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
