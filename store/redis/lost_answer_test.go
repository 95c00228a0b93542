package redis_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"sluice/store"
)

// forgetful stands between a store and its server. When told to, it cuts one connection instead of passing on the answer to a
// script, which the server has run by then.
type forgetful struct {
	socket string
	server string
	forget atomic.Bool
}

func newForgetful(t *testing.T, server *server) *forgetful {
	t.Helper()
	f := &forgetful{socket: filepath.Join(server.folder, "forgetful"), server: server.socket}
	listener, err := net.Listen("unix", f.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go f.pass(client)
		}
	}()
	return f
}

func (f *forgetful) pass(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", f.server)
	if err != nil {
		return
	}
	defer server.Close()
	var script atomic.Bool // what the client waits for is a script's answer
	go func() {
		defer server.Close()
		copyEach(server, client, func(request []byte) bool {
			script.Store(bytes.Contains(bytes.ToLower(request), []byte("evalsha")))
			return true
		})
	}()
	copyEach(client, server, func([]byte) bool { return !(script.Load() && f.forget.CompareAndSwap(true, false)) })
}

// copyEach copies what comes until pass says no.
func copyEach(to io.Writer, from io.Reader, pass func([]byte) bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil || !pass(buffer[:n]) {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// A write whose answer is lost is tried again, and acts once.
func TestLostAnswers(t *testing.T) {
	server := newServer(t)
	between := newForgetful(t, server)
	engine := open(t, "unix://"+between.socket)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var revision uint64
	var message store.Message
	for round := range 2 { // in the first the server learns the scripts
		for _, call := range []struct {
			name string
			run  func() error
		}{
			{"put", func() (err error) { revision, err = engine.Put(ctx, kind, "a", []byte(`1`), 0); return err }},
			{"put again", func() (err error) { revision, err = engine.Put(ctx, kind, "a", []byte(`2`), revision); return err }},
			{"delete", func() error { return engine.Delete(ctx, kind, "a", revision) }},
			{"send", func() error { return engine.Send(ctx, "work", "m", []byte("payload")) }},
			{"receive", func() (err error) { message, err = engine.Receive(ctx, "work", time.Hour); return err }},
			{"hide", func() error { return engine.Hide(ctx, message, 0) }},
			{"receive again", func() (err error) { message, err = engine.Receive(ctx, "work", time.Hour); return err }},
			{"remove", func() error { return engine.Remove(ctx, message) }},
			{"add", func() error { return engine.Add(ctx, "t1", map[string]int64{"n": 1}) }},
		} {
			between.forget.Store(round == 1)
			if err := call.run(); err != nil {
				t.Fatalf("%s: %v", call.name, err)
			}
			if between.forget.Load() {
				t.Errorf("%s: no answer was lost", call.name)
			}
		}
		if message.Attempt != 2 {
			t.Errorf("the message came %d times, want 2", message.Attempt)
		}
		if totals, err := engine.Totals(ctx, "t1"); err != nil || totals["n"] != int64(round+1) {
			t.Errorf("after %d additions of 1 the counter is %d, %v", round+1, totals["n"], err)
		}
	}
	if _, err := engine.Get(ctx, kind, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("error is %v", err)
	}
}
