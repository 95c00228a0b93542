package worker

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// filteredVariable makes the test binary run TestInsideFilter's calls under the filter.
const filteredVariable = "SLUICE_TEST_FILTERED"

func TestDeniedNamesExist(t *testing.T) {
	for _, name := range denied {
		_, amd64 := arch.X86_64.SyscallNames[name]
		_, i386 := arch.I386.SyscallNames[name]
		if !amd64 && !i386 {
			t.Errorf("no system call is named %q", name)
		}
	}
}

// TestFilter runs a program of ours under the filter, which cannot be taken off again.
func TestFilter(t *testing.T) {
	command := exec.Command(os.Args[0], "-test.run=^TestInsideFilter$", "-test.v")
	command.Env = append(os.Environ(), filteredVariable+"="+oldCallProgram(t))
	out, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestInsideFilter") {
		t.Errorf("%v\n%s", err, out)
	}
}

// oldCallProgram builds a program that asks for its pid by the 32-bit system call of the same machine.
func oldCallProgram(t *testing.T) string {
	t.Helper()
	source, program := filepath.Join(t.TempDir(), "old.c"), filepath.Join(t.TempDir(), "old")
	const text = `int main(void) { int pid; __asm__ volatile("int $0x80" : "=a"(pid) : "a"(20)); return pid <= 0; }`
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	if err := exec.Command(program).Run(); err != nil {
		t.Fatalf("without the filter: %v", err)
	}
	return program
}

func TestInsideFilter(t *testing.T) {
	if os.Getenv(filteredVariable) == "" {
		t.Log("TestFilter runs this in a process of its own")
		return
	}
	if err := FilterSystemCalls(); err != nil {
		t.Fatal(err)
	}
	socket := func(family int) error {
		fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
	raw := func(number, argument uintptr) error {
		if _, _, errno := unix.RawSyscall(number, argument, 0, 0); errno != 0 {
			return errno
		}
		return nil
	}
	for name, c := range map[string]struct{ got, want error }{
		"unix socket":          {socket(unix.AF_UNIX), nil},
		"inet socket":          {socket(unix.AF_INET), unix.EPERM},
		"netlink socket":       {socket(unix.AF_NETLINK), unix.EPERM},
		"vsock socket":         {socket(unix.AF_VSOCK), unix.EPERM},
		"unshare":              {unix.Unshare(unix.CLONE_NEWUSER), unix.EPERM},
		"mount":                {unix.Mount("tmpfs", "/tmp", "tmpfs", 0, ""), unix.EPERM},
		"ptrace":               {unix.PtraceAttach(os.Getppid()), unix.EPERM},
		"clone with namespace": {raw(unix.SYS_CLONE, unix.CLONE_NEWUSER), unix.EPERM},
		"clone3":               {raw(unix.SYS_CLONE3, 0), unix.ENOSYS},
		"io_uring_setup":       {raw(unix.SYS_IO_URING_SETUP, 1), unix.EPERM},
		"bpf":                  {raw(unix.SYS_BPF, 0), unix.EPERM},
		"x32 call":             {raw(0x40000000|unix.SYS_GETPID, 0), unix.ENOSYS},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
	if err := sharedMemory(); err != nil {
		t.Errorf("what the dispatcher needs: %v", err)
	}
	var exit *exec.ExitError
	if err := exec.Command(os.Getenv(filteredVariable)).Run(); !errors.As(err, &exit) ||
		exit.Sys().(syscall.WaitStatus).Signal() != unix.SIGSYS {
		t.Errorf("a 32-bit system call: %v, want SIGSYS", err)
	}
	if err := exec.Command("/bin/true").Run(); err != nil {
		t.Errorf("what PoCL needs, another program: %v", err)
	}
}

// sharedMemory does what a Session does: a sealed memfd, mapped, with a futex in it.
func sharedMemory() error {
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return fmt.Errorf("memfd_create: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, 4096); err != nil {
		return fmt.Errorf("ftruncate: %w", err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW); err != nil {
		return fmt.Errorf("sealing: %w", err)
	}
	memory, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	defer unix.Munmap(memory)
	if err := unix.Madvise(memory, unix.MADV_WILLNEED); err != nil {
		return fmt.Errorf("madvise: %w", err)
	}
	const futexWake = 1
	if _, _, errno := unix.Syscall(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&memory[0])), futexWake, 1); errno != 0 {
		return fmt.Errorf("futex: %w", errno)
	}
	return nil
}
