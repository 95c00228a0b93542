package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/test/freeport"
)

// disturb injects faults until the deadline, and returns when what they ended is up again.
func (s *soak) disturb(random *rand.Rand, deadline time.Time) {
	faults := []struct {
		name string
		do   func(*rand.Rand)
	}{
		{"daemon killed", s.killDaemon},
		{"daemon handed over", s.handDaemonOver},
		{"containerd killed", s.killContainerd},
		{"daemon and containerd killed", s.killBoth},
		{"worker killed", s.killWorkerOfLease},
		{"worker killed", s.killWorkerOfLease},
		{"instance killed", s.killInstance},
		{"redis killed", s.killRedis},
	}
	if s.store == "" {
		faults = faults[:len(faults)-1]
	}
	began := time.Now()
	for time.Now().Before(deadline) {
		time.Sleep(time.Duration(random.Int64N(int64(soakPauseMax))))
		fault := faults[random.IntN(len(faults))]
		s.t.Logf("%6.1f s: %s", time.Since(began).Seconds(), fault.name)
		s.tally.add("fault: " + fault.name)
		fault.do(random)
		if s.t.Failed() {
			return
		}
	}
}

func outage(random *rand.Rand) { time.Sleep(time.Duration(random.Int64N(int64(soakOutageMax)))) }

func (s *soak) killDaemon(random *rand.Rand) {
	if err := s.system.kill(); err != nil {
		s.t.Error(err)
	}
	outage(random)
	s.bringUp()
}

func (s *soak) handDaemonOver(random *rand.Rand) {
	if err := s.handOver(); err != nil {
		s.t.Logf("the daemon handed over with %v", err)
	}
	outage(random)
	s.bringUp()
}

func (s *soak) killContainerd(random *rand.Rand) {
	s.stopContainerd()
	outage(random)
	if err := s.startContainerd(); err != nil {
		s.t.Error(err)
	}
}

func (s *soak) killBoth(random *rand.Rand) {
	if err := s.system.kill(); err != nil {
		s.t.Error(err)
	}
	s.stopContainerd()
	outage(random)
	if err := s.startContainerd(); err != nil {
		s.t.Error(err)
	}
	s.bringUp()
}

// bringUp starts the daemon as a service manager does: again and again until it stays.
func (s *soak) bringUp() {
	ctx, cancel := context.WithTimeout(s.t.Context(), soakRecovery)
	defer cancel()
	for ctx.Err() == nil {
		if err := s.launchDaemon(); err != nil {
			s.t.Error(err)
			return
		}
		asking, stop := context.WithCancel(ctx)
		healthy := make(chan error, 1)
		go func() { healthy <- s.awaitHealth(asking) }()
		select {
		case err := <-healthy:
			stop()
			if err != nil {
				s.t.Errorf("the daemon does not come up: %v", err)
			}
			return
		case err := <-s.exited:
			stop()
			<-healthy
			s.t.Logf("the daemon gives up (%v) and is started again", err)
			time.Sleep(soakErrorPause)
		}
	}
	s.t.Error("the daemon does not come up")
}

// stopContainerd kills it and waits until it is gone.
func (s *soak) stopContainerd() {
	pid, err := s.containerdPID()
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err != nil {
		s.t.Errorf("killing containerd: %v", err)
	}
	for alive(pid) {
		time.Sleep(time.Millisecond)
	}
}

// alive is false for a zombie, which waits for its parent.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// killWorkerOfLease kills a random worker that serves a lease, if there is one.
func (s *soak) killWorkerOfLease(random *rand.Rand) {
	leases, err := filepath.Glob(filepath.Join(s.state(), "workers", "*", "lease.json"))
	if err != nil || len(leases) == 0 {
		return
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(leases[random.IntN(len(leases))]), "pid"))
	if err != nil {
		return // it has just ended
	}
	fields := strings.Fields(string(text))
	if pid, err := strconv.Atoi(fields[0]); err == nil && s.isOurs(pid, "cgroup", s.workerGroup()) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have just ended
	}
}

// killInstance kills the program of a random instance, if there is one.
func (s *soak) killInstance(random *rand.Rand) {
	instances, err := s.everyInstance()
	if err != nil || len(instances) == 0 {
		return
	}
	random.Shuffle(len(instances), func(i, j int) { instances[i], instances[j] = instances[j], instances[i] })
	for _, id := range instances {
		procs, err := filepath.Glob(filepath.Join("/sys/fs/cgroup", "*", "sluice", id, "cgroup.procs"))
		if err != nil || len(procs) == 0 {
			procs = []string{filepath.Join("/sys/fs/cgroup/sluice", id, "cgroup.procs")}
		}
		text, err := os.ReadFile(procs[0])
		if err != nil {
			continue // it is gone
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have just ended
			return
		}
	}
}

// isOurs guards against a process id that belongs to another process by now.
func (s *soak) isOurs(pid int, file, mark string) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	return err == nil && strings.Contains(string(text), mark)
}

// redisServer is the store of a soak with SOAK_STORE=redis; it keeps every write that it acknowledges.
type redisServer struct {
	folder, address string
	command         *exec.Cmd
}

var soakRedis redisServer

// soakStore starts a Redis if one is asked for, and gives the URL for --store.
func soakStore(t *testing.T) string {
	t.Helper()
	if os.Getenv("SOAK_STORE") != "redis" {
		return ""
	}
	address, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	soakRedis = redisServer{folder: t.TempDir(), address: address}
	if err := soakRedis.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(soakRedis.kill)
	return "redis://" + address
}

func (r *redisServer) start() error {
	_, port, err := net.SplitHostPort(r.address)
	if err != nil {
		return err
	}
	r.command = exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", r.folder,
		"--appendonly", "yes", "--appendfsync", "always", "--save", "")
	if err := r.command.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(soakRecovery); ; time.Sleep(time.Millisecond) {
		connection, err := net.Dial("tcp", r.address)
		if err == nil {
			return connection.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("redis-server does not start: %w", err)
		}
	}
}

func (r *redisServer) kill() {
	_ = r.command.Process.Kill()
	_ = r.command.Wait() // it was killed
}

func (s *soak) killRedis(random *rand.Rand) {
	soakRedis.kill()
	outage(random)
	if err := soakRedis.start(); err != nil {
		s.t.Error(err)
	}
}
