/* The greeting: find the broker, show the lease's token, receive the segment and the arena. */
#include "shim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/sluice/session/broker.sock"
#define GREETING_TIMEOUT_S 15

static void complain(const char *what, const char *detail)
{
	fprintf(stderr, "sluice: %s: %s\n", what, detail);
}

static int dial(void)
{
	const char *path = getenv("SLUICE_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (!path || !*path)
		path = DEFAULT_SOCKET;
	if (strlen(path) >= sizeof(address.sun_path)) {
		complain("SLUICE_SOCKET is longer than a socket's path may be", path);
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection < 0)
		return -1;
	struct timeval timeout = {.tv_sec = GREETING_TIMEOUT_S};
	(void)setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	if (connect(connection, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		/* A host that has the driver file but runs no broker simply has no device of ours. */
		if (getenv("SLUICE_TOKEN"))
			complain(path, strerror(errno));
		close(connection);
		return -1;
	}
	return connection;
}

static bool say_hello(int connection)
{
	const char *token = getenv("SLUICE_TOKEN");
	if (!token)
		token = "";
	size_t length = strlen(token);
	if (length > SL_TOKEN_MAX) {
		complain("SLUICE_TOKEN", "longer than a lease's token");
		return false;
	}
	uint8_t hello[SL_HELLO_SIZE] = {0};
	uint32_t version = SL_API_VERSION, pid = (uint32_t)getpid(), size = (uint32_t)length;
	sl_put(sl_put(hello, SL_MAGIC), SL_PROTOCOL_HASH);
	memcpy(hello + 16, &version, 4);
	memcpy(hello + 20, &pid, 4);
	memcpy(hello + 24, &size, 4);
	memcpy(hello + 32, token, length);
	return send(connection, hello, sizeof(hello), MSG_NOSIGNAL) == (ssize_t)sizeof(hello);
}

/* Reads the answer's first bytes with the descriptors that travel beside them. */
static ssize_t receive(int connection, uint8_t *answer, int descriptors[2])
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct iovec part = {.iov_base = answer, .iov_len = SL_WELCOME_SIZE};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.space,
				 .msg_controllen = sizeof(control.space)};
	ssize_t n;
	do
		n = recvmsg(connection, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL);
	while (n < 0 && errno == EINTR);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); n >= 0 && c; c = CMSG_NXTHDR(&message, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
		    c->cmsg_len == CMSG_LEN(2 * sizeof(int)))
			memcpy(descriptors, CMSG_DATA(c), 2 * sizeof(int));
	return n;
}

static void read_refusal(int connection, uint32_t length)
{
	char message[SL_REFUSAL_MAX + 1] = {0};
	if (length > SL_REFUSAL_MAX)
		length = SL_REFUSAL_MAX;
	if (recv(connection, message, length, MSG_WAITALL) > 0)
		complain("the broker refused this program", message);
}

/* Connects and greets. Returns the connection, or -1 after saying why on stderr. */
int sl_connect(struct sl_welcome *welcome)
{
	int descriptors[2] = {-1, -1};
	uint8_t answer[SL_WELCOME_SIZE];
	uint64_t magic;
	uint32_t kind, length;
	int connection = dial();
	if (connection < 0)
		return -1;
	if (!say_hello(connection) || receive(connection, answer, descriptors) != (ssize_t)sizeof(answer)) {
		complain("the broker", "ended the connection before it answered");
		goto refused;
	}
	memcpy(&magic, answer, 8);
	memcpy(&kind, answer + 8, 4);
	memcpy(&length, answer + 12, 4);
	if (magic != SL_MAGIC || kind > 1) {
		complain("the broker", "answered in another protocol");
		goto refused;
	}
	if (kind == 0) {
		read_refusal(connection, length);
		goto refused;
	}
	if (descriptors[0] < 0 || descriptors[1] < 0 || !length || length > SL_DEVICES_MAX)
		goto refused;
	welcome->device_count = length;
	memcpy(&welcome->arena_size, answer + 16, 8);
	memcpy(&welcome->credit, answer + 24, 8);
	memcpy(&welcome->arena_address, answer + 32, 8);
	welcome->segment = descriptors[0];
	welcome->arena = descriptors[1];
	return connection;

refused:
	for (int i = 0; i < 2; i++)
		if (descriptors[i] >= 0)
			close(descriptors[i]);
	close(connection);
	return -1;
}
