package sharedmemory

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func open(t *testing.T) (*Regions, string) {
	t.Helper()
	folder := t.TempDir()
	regions, err := Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := regions.Close(); err != nil {
			t.Error(err)
		}
	})
	return regions, folder
}

func write(t *testing.T, path string, size int) {
	t.Helper()
	if err := os.WriteFile(path, bytes.Repeat([]byte{7}, size), 0o600); err != nil {
		t.Fatal(err)
	}
}

// self is whose files a test makes.
var self = uint32(os.Geteuid())

func TestRegister(t *testing.T) {
	regions, folder := open(t)
	write(t, filepath.Join(folder, "file"), 100)
	outside := filepath.Join(t.TempDir(), "outside")
	write(t, outside, 100)
	if err := os.Symlink(outside, filepath.Join(folder, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(folder, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		region Region
		user   uint32
		want   error
	}{
		{Region{Name: "a", Key: "/file", ByteSize: 100}, self, nil},
		{Region{Name: "a", Key: "/file", ByteSize: 100}, self, ErrExists},
		{Region{Name: "b", Key: "file", Offset: 99, ByteSize: 1}, self, nil},
		{Region{Name: "c", Key: "file", ByteSize: 1}, self + 1, ErrDenied},
		{Region{Name: "c", Key: "file", Offset: 1, ByteSize: 100}, self, ErrInvalid},
		{Region{Name: "c", Key: "file", Offset: math.MaxUint64, ByteSize: 2}, self, ErrInvalid},
		{Region{Name: "c", Key: "file"}, self, ErrInvalid},
		{Region{Name: "c", Key: "file", ByteSize: MaxRegionBytes + 1}, self, ErrInvalid},
		{Region{Key: "file", ByteSize: 1}, self, ErrInvalid},
		{Region{Name: "c", Key: "none", ByteSize: 1}, self, ErrNotFound},
		{Region{Name: "c", Key: "link", ByteSize: 1}, self, ErrDenied},
		{Region{Name: "c", Key: "folder", ByteSize: 1}, self, ErrDenied},
		{Region{Name: "c", Key: "pipe", ByteSize: 1}, self, ErrDenied},
		{Region{Name: "c", Key: "../" + filepath.Base(folder) + "/file", ByteSize: 1}, self, ErrInvalid},
		{Region{Name: "c", Key: "..", ByteSize: 1}, self, ErrInvalid},
		{Region{Name: "c", Key: "/", ByteSize: 1}, self, ErrInvalid},
		{Region{Name: "c", Key: "a\x00b", ByteSize: 1}, self, ErrInvalid},
	} {
		if err := regions.Register("tenant", test.region, test.user); !errors.Is(err, test.want) {
			t.Errorf("Register(%+v, %d) = %v, want %v", test.region, test.user, err, test.want)
		}
	}
	if held, err := regions.Status("tenant", ""); err != nil || len(held) != 2 {
		t.Errorf("%v, %v are registered", held, err)
	}
}

func TestLimits(t *testing.T) {
	regions, folder := open(t)
	write(t, filepath.Join(folder, "file"), 1)
	for i := range MaxRegions {
		if err := regions.Register("tenant", Region{Name: fmt.Sprint(i), Key: "file", ByteSize: 1}, self); err != nil {
			t.Fatal(err)
		}
	}
	if err := regions.Register("tenant", Region{Name: "more", Key: "file", ByteSize: 1}, self); !errors.Is(err, ErrLimit) {
		t.Errorf("one region too many: %v", err)
	}
	if err := regions.Register("other", Region{Name: "more", Key: "file", ByteSize: 1}, self); err != nil {
		t.Errorf("another tenant's: %v", err)
	}
	regions.Unregister("tenant", "")
	if held, err := regions.Status("tenant", ""); err != nil || len(held) != 0 {
		t.Errorf("%v, %v are left", held, err)
	}
	if err := os.Truncate(filepath.Join(folder, "file"), MaxRegionBytes); err != nil {
		t.Fatal(err)
	}
	if err := regions.Register("tenant", Region{Name: "large", Key: "file", ByteSize: MaxRegionBytes}, self); err != nil {
		t.Fatal(err)
	}
	part, err := regions.Use("tenant", "large", 0, MaxBytesInUse+1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Read(); !errors.Is(err, ErrLimit) {
		t.Errorf("more bytes in use than allowed: %v", err)
	}
	part.Release()
}

// What uses a region goes on when it is unregistered, and its bytes count until they are released.
func TestUse(t *testing.T) {
	regions, folder := open(t)
	path := filepath.Join(folder, "file")
	write(t, path, 100)
	if err := regions.Register("tenant", Region{Name: "a", Key: "file", Offset: 10, ByteSize: 50}, self); err != nil {
		t.Fatal(err)
	}
	for _, at := range [][2]uint64{{0, 51}, {50, 1}, {math.MaxUint64, 2}, {1, math.MaxUint64}} {
		if _, err := regions.Use("tenant", "a", at[0], at[1]); !errors.Is(err, ErrInvalid) {
			t.Errorf("Use(%v): %v", at, err)
		}
	}
	if _, err := regions.Use("other", "a", 0, 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("another tenant uses the region: %v", err)
	}
	part, err := regions.Use("tenant", "a", 40, 10)
	if err != nil {
		t.Fatal(err)
	}
	regions.Unregister("tenant", "a")
	if data, err := part.Read(); err != nil || !bytes.Equal(data, bytes.Repeat([]byte{7}, 10)) {
		t.Errorf("Read = %v, %v", data, err)
	}
	if err := part.Write(make([]byte, 11)); !errors.Is(err, ErrInvalid) {
		t.Errorf("a write beyond the part: %v", err)
	}
	if err := part.Write([]byte{1, 2}); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(path); err != nil || data[49] != 7 || data[50] != 1 || data[51] != 2 || data[52] != 7 {
		t.Errorf("the file holds %v, %v", data, err)
	}
	if err := os.Truncate(path, 55); err != nil {
		t.Fatal(err)
	}
	if _, err := part.Read(); !errors.Is(err, ErrInvalid) {
		t.Errorf("read of a truncated file: %v", err)
	}
	if err := part.Write(make([]byte, 10)); !errors.Is(err, ErrInvalid) {
		t.Errorf("write to a truncated file: %v", err)
	}
	part.Release()
	if len(regions.tenants) != 0 {
		t.Errorf("%v is left", regions.tenants)
	}
}

func TestUser(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1"} {
		network, at := "tcp", net.JoinHostPort(host, "0")
		if host == "::ffff:127.0.0.1" { // a socket of IPv6 that takes IPv4 too
			at = "[::]:0"
		}
		listener, err := net.Listen(network, at)
		if err != nil {
			t.Logf("%s: %v", host, err)
			continue
		}
		defer listener.Close()
		client, err := net.Dial(network, net.JoinHostPort(host, fmt.Sprint(listener.Addr().(*net.TCPAddr).Port)))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		server, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		if user, err := User(server.RemoteAddr(), server.LocalAddr()); err != nil || user != self {
			t.Errorf("%s: user %d, %v, want %d", host, user, err, self)
		}
		// Nobody: where no connection fits the kernel may answer with a socket that listens on the port.
		elsewhere := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: listener.Addr().(*net.TCPAddr).Port}
		if user, err := User(elsewhere, server.LocalAddr()); !errors.Is(err, ErrDenied) {
			t.Errorf("a client elsewhere is user %d, %v", user, err)
		}
	}
	if _, err := User(&net.UnixAddr{}, &net.UnixAddr{}); !errors.Is(err, ErrDenied) {
		t.Errorf("a socket of another kind: %v", err)
	}
}
