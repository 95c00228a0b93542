package worker

/*
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void crash(int number) {
	static const char text[] = "sluice-worker: the driver crashed\n";
	ssize_t written = write(2, text, sizeof text - 1);
	(void)written;
	_exit(128 + number);
}

// Before Go's runtime starts, which then hands on to it what happens on threads that are not its own.
__attribute__((constructor)) static void crash_install(void) {
	static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_handler = crash;
	action.sa_flags = SA_ONSTACK;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		sigaction(numbers[i], &action, NULL);
}
*/
import "C"

// A confined worker is process 1 of its namespace, which the kernel protects from signals that it raises itself. Go's
// runtime answers a fault on a driver's own thread by raising the signal again: the worker would hang, raising it for
// ever, instead of ending. The handler above ends it, with the exit code that a shell gives such an end.
