// Package e2e runs the programs that `make build` made as an operator would: the real daemon with the real containerd and the
// real OpenCL driver, and unmodified programs against it. It needs root.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"sluice/test/freeport"
)

// startBound is how long a daemon on a busy machine may take to answer.
const startBound = time.Minute

// system is one daemon with its containerd, for all tests of the package.
type system struct {
	root       string                           // of the repository
	folder     string                           // everything that this run writes
	address    string                           // of the gateway
	http       string                           // of the gateway, over HTTP
	metrics    string                           // address of /metrics
	sandbox    string                           // containerd or process
	containerd string                           // socket, for the former
	store      string                           // URL of a Redis; empty: a file
	flags      []string                         // more of the daemon's
	variables  []string                         // more of the daemon's environment
	secured    credentials.TransportCredentials // nil: the gateway speaks no TLS
	daemon     *exec.Cmd
	exited     chan error // how the daemon ended, once
}

var running system

func TestMain(m *testing.M) {
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (code int, err error) {
	if os.Geteuid() != 0 {
		return 1, errors.New("these tests run the real containerd, which needs root: run `make test` as root")
	}
	if running.root, err = filepath.Abs("../.."); err != nil {
		return 1, err
	}
	if _, err := os.Stat(running.binary("sluice")); err != nil {
		return 1, fmt.Errorf("the programs are not built: run `make build` (%w)", err)
	}
	if soakTime() > 0 {
		return m.Run(), nil // it has a system of its own
	}
	// Short, for the sockets below it.
	if running.folder, err = os.MkdirTemp("/tmp", "sluice-e2e-"); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(running.folder)) }()
	if err := running.start(); err != nil {
		return 1, errors.Join(err, running.stop())
	}
	defer func() { err = errors.Join(err, running.stop()) }()
	if code = m.Run(); code != 0 {
		running.printLog()
	}
	return code, nil
}

func (s *system) binary(name string) string { return filepath.Join(s.root, "build/bin", name) }
func (s *system) state() string             { return filepath.Join(s.folder, "state") }

// start brings up containerd and the daemon, and deploys the examples.
func (s *system) start() error {
	s.sandbox = "containerd"
	s.flags = []string{"--shared-memory-folder", "/dev/shm"}
	if err := s.startContainerd(); err != nil {
		return err
	}
	if err := s.choosePorts(); err != nil {
		return err
	}
	if err := s.startDaemon(); err != nil {
		return err
	}
	for _, name := range []string{"simple", "digits"} {
		if err := s.deploy(name); err != nil {
			return err
		}
	}
	return nil
}

// startContainerd starts the system's own containerd, also after it was killed.
func (s *system) startContainerd() error {
	out, err := exec.Command(filepath.Join(s.root, "scripts/containerd.sh"), "start", filepath.Join(s.folder, "containerd")).Output()
	if err != nil {
		return fmt.Errorf("starting containerd: %w", explain(err))
	}
	s.containerd = strings.TrimSpace(string(out))
	return nil
}

// deploy builds an example, and deploys it as an image.
func (s *system) deploy(name string) error {
	program := filepath.Join(s.folder, name)
	for _, step := range [][]string{
		{filepath.Join(s.root, "scripts/example.sh"), name, program},
		{s.binary("sluice"), "--state", s.state(), "image", "build", program, "-t", name + ":latest"},
		{s.binary("sluice"), "--state", s.state(), "deploy", "-f", filepath.Join(s.root, "examples", name, "function.yaml")},
	} {
		if _, err := exec.Command(step[0], step[1:]...).Output(); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(step, " "), explain(err))
		}
	}
	return nil
}

func (s *system) choosePorts() (err error) {
	if s.address, err = freeport.Address(); err != nil {
		return err
	}
	if s.http, err = freeport.Address(); err != nil {
		return err
	}
	s.metrics, err = freeport.Address()
	return err
}

// startDaemon returns when it answers.
func (s *system) startDaemon() error {
	if err := s.launchDaemon(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startBound)
	defer cancel()
	if err := s.awaitHealth(ctx); err != nil {
		s.printLog()
		return err
	}
	return nil
}

func (s *system) launchDaemon() error {
	log, err := os.OpenFile(filepath.Join(s.folder, "daemon.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	arguments := []string{
		"serve", "--state", s.state(), "--listen", s.address, "--http-listen", s.http, "--metrics-listen", s.metrics,
		"--sandbox", s.sandbox, "--containerd-address", s.containerd, "--containerd-namespace", namespace, "--store", s.store,
	}
	s.daemon = exec.Command(s.binary("sluice"), append(arguments, s.flags...)...)
	s.daemon.Env = append(s.daemon.Environ(), s.variables...)
	s.daemon.Stdout, s.daemon.Stderr = log, log
	if err := s.daemon.Start(); err != nil {
		return err
	}
	daemon, exited := s.daemon, make(chan error, 1)
	s.exited = exited
	go func() { exited <- daemon.Wait() }()
	return nil
}

func (s *system) awaitHealth(ctx context.Context) error {
	secured := s.secured
	if secured == nil {
		secured = insecure.NewCredentials()
	}
	conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(secured))
	if err != nil {
		return err
	}
	defer conn.Close()
	response, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.WaitForReady(true))
	if err != nil || response.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("the daemon's health: %v, %w", response.GetStatus(), err)
	}
	return nil
}

// stop ends the daemon, then what it left running on purpose, then containerd.
func (s *system) stop() error {
	var errs []error
	if s.daemon != nil && s.daemon.Process != nil {
		for _, name := range []string{"simple", "digits"} {
			_ = exec.Command(s.binary("sluice"), "--state", s.state(), "remove", name).Run() // a test may have removed it
		}
		errs = append(errs, s.stopDaemon())
	}
	out, err := exec.Command(filepath.Join(s.root, "scripts/containerd.sh"), "stop", filepath.Join(s.folder, "containerd")).CombinedOutput()
	if err != nil {
		errs = append(errs, fmt.Errorf("stopping containerd: %w: %s", err, out))
	}
	return errors.Join(errs...)
}

func (s *system) stopDaemon() error {
	if err := s.daemon.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	return <-s.exited
}

func (s *system) printLog() {
	const tailBytes = 16 << 10
	log, err := os.ReadFile(filepath.Join(s.folder, "daemon.log"))
	if err != nil {
		return
	}
	if len(log) > tailBytes {
		log = log[len(log)-tailBytes:]
	}
	fmt.Fprintf(os.Stderr, "--- the daemon's log ends:\n%s", log)
}

// explain adds what a program wrote to standard error.
func explain(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	return err
}

// sluice runs a command against the daemon and returns what it printed.
func sluice(t *testing.T, arguments ...string) string {
	t.Helper()
	return output(t, sluiceCommand(t, arguments...))
}

func sluiceCommand(t *testing.T, arguments ...string) *exec.Cmd {
	return running.command(t, arguments...)
}

func (s *system) command(t *testing.T, arguments ...string) *exec.Cmd {
	return exec.CommandContext(t.Context(), s.binary("sluice"), append([]string{"--state", s.state()}, arguments...)...)
}

func output(t *testing.T, command *exec.Cmd) string {
	t.Helper()
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command.Args, " "), explain(err), out)
	}
	return string(out)
}
