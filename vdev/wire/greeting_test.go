package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"sluice/vdev/wire"
)

func hello(t testing.TB, h wire.Hello) []byte {
	t.Helper()
	b, err := wire.AppendHello(nil, h)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestHelloTravels(t *testing.T) {
	for _, token := range []string{"", "t", strings.Repeat("x", wire.TokenMax)} {
		want := wire.Hello{Token: token, ProtocolHash: wire.ProtocolHash, APIVersion: wire.APIVersion, PID: 4711}
		b := hello(t, want)
		if len(b) != wire.HelloSize {
			t.Errorf("a greeting of %d bytes", len(b))
		}
		// What follows the greeting is not read.
		r := bytes.NewReader(append(b, "more"...))
		got, err := wire.ReadHello(r)
		if err != nil || got != want {
			t.Errorf("read %+v, %v, want %+v", got, err, want)
		}
		if r.Len() != len("more") {
			t.Errorf("%d bytes are left, want 4", r.Len())
		}
	}
}

func TestHelloRefused(t *testing.T) {
	good := hello(t, wire.Hello{Token: "token"})
	changed := func(change func(b []byte)) []byte {
		b := bytes.Clone(good)
		change(b)
		return b
	}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"nothing":       {nil, io.EOF},
		"cut short":     {good[:wire.HelloSize-1], io.ErrUnexpectedEOF},
		"another magic": {changed(func(b []byte) { b[0]++ }), wire.ErrMagic},
		"a token over the limit": {
			changed(func(b []byte) { binary.LittleEndian.PutUint32(b[24:], wire.TokenMax+1) }), wire.ErrHello,
		},
		"a token of any length": {
			changed(func(b []byte) { binary.LittleEndian.PutUint32(b[24:], 0xffffffff) }), wire.ErrHello,
		},
	} {
		if got, err := wire.ReadHello(bytes.NewReader(c.b)); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v, want %v", name, got, err, c.want)
		}
	}
	if _, err := wire.AppendHello(nil, wire.Hello{Token: strings.Repeat("x", wire.TokenMax+1)}); !errors.Is(err, wire.ErrHello) {
		t.Errorf("a token over the limit is sent: %v", err)
	}
}

func TestRefusalIsCut(t *testing.T) {
	for length, want := range map[int]int{0: 0, 10: 10, wire.RefusalMax: wire.RefusalMax, wire.RefusalMax + 1: wire.RefusalMax, 1 << 16: wire.RefusalMax} {
		var b bytes.Buffer
		if err := wire.WriteRefusal(&b, strings.Repeat("m", length)); err != nil {
			t.Fatal(err)
		}
		if b.Len() != wire.WelcomeSize+want || binary.LittleEndian.Uint32(b.Bytes()[12:]) != uint32(want) {
			t.Errorf("a message of %d bytes makes a refusal of %d, announcing %d", length, b.Len(), binary.LittleEndian.Uint32(b.Bytes()[12:]))
		}
		if len(wire.AppendWelcome(nil, wire.Welcome{})) != wire.WelcomeSize {
			t.Error("a welcome and a refusal start with different sizes")
		}
	}
}

// FuzzReadHello reads anything. What is accepted keeps the limits and travels
// unchanged.
func FuzzReadHello(f *testing.F) {
	f.Add(hello(f, wire.Hello{Token: "token", ProtocolHash: wire.ProtocolHash, APIVersion: 300, PID: 1}))
	f.Add(hello(f, wire.Hello{}))
	f.Add(hello(f, wire.Hello{Token: strings.Repeat("\xff", wire.TokenMax)}))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := wire.ReadHello(bytes.NewReader(b))
		if err != nil {
			if h != (wire.Hello{}) {
				t.Errorf("%v, and yet %+v", err, h)
			}
			return
		}
		if len(h.Token) > wire.TokenMax {
			t.Errorf("a token of %d bytes", len(h.Token))
		}
		again, err := wire.ReadHello(bytes.NewReader(hello(t, h)))
		if err != nil || again != h {
			t.Errorf("%+v travels as %+v, %v", h, again, err)
		}
	})
}
