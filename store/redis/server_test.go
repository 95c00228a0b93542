package redis_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sluice/store/redis"
	"sluice/store/storetest"
	"sluice/test/freeport"
)

// patience bounds the wait for what must come; it is no measure of speed.
const patience = 15 * time.Second

// server is a redis-server of Debian's package, which keeps what it acknowledges.
type server struct {
	folder  string
	socket  string
	options []string
	process *exec.Cmd
}

// newServer starts a server on a socket in a folder of its own; options come after the ones that every server has.
func newServer(t *testing.T, options ...string) *server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatalf("%v; `make setup` installs it", err)
	}
	folder, err := os.MkdirTemp("", "redis") // t.TempDir's path is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	s := &server{folder: folder, socket: filepath.Join(folder, "socket"), options: options}
	t.Cleanup(func() {
		s.kill(t)
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(folder, "log"))
			t.Logf("server's log: %s", log[max(0, len(log)-4096):])
		}
		_ = os.RemoveAll(folder)
	})
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	return s
}

// start runs the server's process, and returns when it answers.
func (s *server) start() error {
	arguments := append([]string{
		"--port", "0", "--unixsocket", s.socket, "--dir", s.folder, "--logfile", filepath.Join(s.folder, "log"), "--daemonize", "no",
		"--save", "", "--appendonly", "yes", "--appendfsync", "always",
	}, s.options...)
	s.process = exec.Command("redis-server", arguments...)
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		return err
	}
	client := s.client()
	defer client.Close()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		var answered goredis.Error
		err := client.Ping(context.Background()).Err()
		if err == nil || errors.As(err, &answered) && !goredis.HasErrorPrefix(err, "LOADING") {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the server does not start: %w", err)
		}
	}
}

// client speaks to the server past the store.
func (s *server) client() *goredis.Client {
	return goredis.NewClient(&goredis.Options{Network: "unix", Addr: s.socket, MaxRetries: -1})
}

// do runs one command past the store.
func (s *server) do(t *testing.T, command ...any) any {
	t.Helper()
	client := s.client()
	defer client.Close()
	answer, err := client.Do(t.Context(), command...).Result()
	if err != nil {
		t.Errorf("%v: %v", command, err)
	}
	return answer
}

// kill ends the process as a crash would, and returns when it is gone.
func (s *server) kill(t *testing.T) {
	if err := s.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	_ = s.process.Wait() // says that it was killed
}

func (s *server) signal(t *testing.T, signal os.Signal) {
	if err := s.process.Process.Signal(signal); err != nil {
		t.Error(err)
	}
}

func (s *server) url(parameters string) string { return "unix://" + s.socket + "?" + parameters }

var discard = slog.New(slog.DiscardHandler)

func open(t *testing.T, url string) *redis.Store {
	t.Helper()
	opened, err := redis.Open(t.Context(), url, discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	return opened
}

// factory gives each folder a namespace of its own on the server.
func (s *server) factory(parameters string) storetest.Factory {
	return func(t *testing.T, folder string) storetest.Engine {
		t.Helper()
		return open(t, s.url("namespace="+namespaceOf(folder)+"&"+parameters))
	}
}

func namespaceOf(folder string) string {
	hash := fnv.New64a()
	_, _ = io.WriteString(hash, folder)
	return fmt.Sprintf("n%x", hash.Sum64())
}

func freePort(t *testing.T) string {
	t.Helper()
	port, err := freeport.Find()
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(port)
}
