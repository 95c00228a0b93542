package report

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

func makeNode(path string) error {
	return unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5)))
}

func makeUserNamespace() error {
	command := exec.Command("/proc/self/exe", "exit", "0")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
	return command.Run()
}
