package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"sluice/broker/dispatch"
	"sluice/vdev/record"
	"sluice/vdev/wire"
)

// recordedMemory is the slice that a program is recorded on, in bytes.
const recordedMemory = 4 << 30

// shimPath is where the shim lies beside an installed or built worker.
const shimPath = "../lib/sluice/libsluice-opencl.so"

// errDiffers says that a replay had other answers than its recording.
var errDiffers = errors.New("answers differ from the recorded ones")

// keep runs a program, carries out its calls, and keeps what it and this process say to each other in a
// file, compressed.
func keep(path string, program []string) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("making the recording: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	folder, err := os.MkdirTemp("", "sluice-record-")
	if err != nil {
		return fmt.Errorf("making a folder for the session: %w", err)
	}
	defer os.RemoveAll(folder)
	compressed := gzip.NewWriter(file)
	recording := record.NewWriter(compressed)
	lease, err := steadyLease(folder, recording)
	if err != nil {
		return err
	}
	defer lease.Close()
	socket := filepath.Join(folder, "socket")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return fmt.Errorf("listening for the program: %w", err)
	}
	served := make(chan error, 1)
	go func() { served <- serveOne(listener, lease) }()
	err = runProgram(program, folder, socket)
	listener.Close()
	return errors.Join(err, <-served, recording.Close(), compressed.Close())
}

func steadyLease(folder string, recording *record.Writer) (*dispatch.Lease, error) {
	return dispatch.NewLease(dispatch.Limits{Devices: []dispatch.Device{{MemoryBytes: recordedMemory}}, HeaderFolder: filepath.Join(folder, "headers"), Steady: true, Record: recording})
}

// serveOne serves the sessions that come until the listener is closed, of which the lease takes one.
func serveOne(listener *net.UnixListener, lease *dispatch.Lease) error {
	var ended error
	for {
		conn, err := listener.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return ended
		}
		if err == nil {
			err = session(conn, lease)
		}
		ended = errors.Join(ended, err)
	}
}

func session(conn *net.UnixConn, lease *dispatch.Lease) error {
	defer conn.Close()
	hello, err := wire.ReadHello(conn)
	if err != nil {
		return fmt.Errorf("reading the program's greeting: %w", err)
	}
	if hello.ProtocolHash != wire.ProtocolHash {
		return fmt.Errorf("the shim at %s is of another build", shimPath)
	}
	return lease.Serve(context.Background(), conn, slog.New(slog.NewTextHandler(os.Stderr, nil)))
}

// runProgram runs it with the shim as its only driver. Standard streams are the program's.
func runProgram(words []string, folder, socket string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	shim := filepath.Join(filepath.Dir(self), shimPath)
	if _, err := os.Stat(shim); err != nil {
		return fmt.Errorf("finding the shim: %w", err)
	}
	vendors := filepath.Join(folder, "vendors")
	if err := os.Mkdir(vendors, 0o700); err != nil {
		return fmt.Errorf("naming the shim: %w", err)
	}
	if err := os.WriteFile(filepath.Join(vendors, "sluice.icd"), []byte(shim+"\n"), 0o600); err != nil {
		return fmt.Errorf("naming the shim: %w", err)
	}
	program := exec.Command(words[0], words[1:]...)
	program.Env = append(program.Environ(), "OCL_ICD_VENDORS="+vendors, "SLUICE_SOCKET="+socket, "SLUICE_TOKEN=record")
	program.Stdin, program.Stdout, program.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := program.Run(); err != nil {
		return fmt.Errorf("running %s: %w", words[0], err)
	}
	return nil
}

// repeat says a recording again to the driver of this host, and tells what was answered otherwise.
func repeat(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("opening the recording: %w", err)
	}
	defer file.Close()
	var reader *record.Reader
	plain, err := gzip.NewReader(file)
	if err == nil {
		reader, err = record.NewReader(plain)
	}
	if err != nil {
		return fmt.Errorf("reading the recording %s: %w", path, err)
	}
	folder, err := os.MkdirTemp("", "sluice-replay-")
	if err != nil {
		return fmt.Errorf("making a folder for the session: %w", err)
	}
	defer os.RemoveAll(folder)
	lease, err := steadyLease(folder, nil)
	if err != nil {
		return err
	}
	defer lease.Close()
	shim, worker, err := socketPair()
	if err != nil {
		return err
	}
	defer shim.Close()
	served := make(chan error, 1)
	go func() { served <- session(worker, lease) }()
	report, err := record.Replay(context.Background(), shim, reader, record.Judge{Name: dispatch.CallName, Volatile: dispatch.Volatile})
	shim.Close()
	err = errors.Join(err, <-served)
	fmt.Printf("%d frames, %d answers, %d results; %d differ\n", report.Frames, report.Answers, report.Results, report.Differing)
	for _, difference := range report.Differences {
		fmt.Println(difference)
	}
	if err == nil && report.Differing > 0 {
		err = errDiffers
	}
	return err
}

func socketPair() (a, b *net.UnixConn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making a connection: %w", err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "session")
		end, err := net.FileConn(file)
		file.Close()
		if err != nil {
			return nil, nil, fmt.Errorf("making a connection: %w", err)
		}
		ends[i] = end.(*net.UnixConn)
	}
	return ends[0], ends[1], nil
}
