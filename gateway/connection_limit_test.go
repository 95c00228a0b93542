package gateway

import (
	"io"
	"net"
	"testing"
	"time"
)

// A connection beyond the limit is closed; one that ends makes room for another, on whichever listener.
func TestConnectionLimit(t *testing.T) {
	limit := &ConnectionLimit{most: 1}
	var listeners [2]net.Listener
	accepted := make(chan net.Conn, 3)
	for i := range listeners {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		listeners[i] = limit.Listen(listener)
		go func() {
			for {
				connection, err := listeners[i].Accept()
				if err != nil {
					return
				}
				accepted <- connection
			}
		}()
	}
	dial := func(i int) net.Conn {
		connection, err := net.Dial("tcp", listeners[i].Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { connection.Close() })
		return connection
	}
	dial(0)
	first := <-accepted
	second := dial(1)
	if err := second.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a connection beyond the limit: %v, want it closed", err)
	}
	for range 2 { // closing twice makes room once
		_ = first.Close()
	}
	dial(1)
	third := <-accepted
	if limit.open.Load() != 1 {
		t.Errorf("%d connections count, want 1", limit.open.Load())
	}
	if err := third.Close(); err != nil || limit.open.Load() != 0 {
		t.Errorf("%d connections count at the end, want none (%v)", limit.open.Load(), err)
	}
}

func TestNewConnectionLimit(t *testing.T) {
	limit, err := NewConnectionLimit()
	if err != nil || limit.most < 1 {
		t.Errorf("limit %+v, %v", limit, err)
	}
}
