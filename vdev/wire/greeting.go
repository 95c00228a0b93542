package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Sizes and limits of the greeting.
const (
	HelloSize   = 160
	WelcomeSize = 40
	TokenMax    = 128
	// RefusalMax is the longest message of a refusal, in bytes.
	RefusalMax = 512
)

// Kinds of answer to a Hello.
const (
	answerRefused = 0
	answerWelcome = 1
)

// Errors of the greeting.
var (
	ErrMagic = errors.New("not a Sluice shim: wrong magic")
	ErrHello = errors.New("malformed greeting")
)

// Hello is what the shim says first.
type Hello struct {
	Token        string
	ProtocolHash uint64
	APIVersion   uint32
	PID          uint32
}

// ReadHello reads a Hello of HelloSize bytes. It does not judge the hash or the
// token.
func ReadHello(r io.Reader) (Hello, error) {
	var b [HelloSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return Hello{}, fmt.Errorf("reading the greeting: %w", err)
	}
	if binary.LittleEndian.Uint64(b[0:]) != Magic {
		return Hello{}, ErrMagic
	}
	length := binary.LittleEndian.Uint32(b[24:])
	if length > TokenMax {
		return Hello{}, fmt.Errorf("%w: token of %d bytes, at most %d", ErrHello, length, TokenMax)
	}
	return Hello{
		ProtocolHash: binary.LittleEndian.Uint64(b[8:]),
		APIVersion:   binary.LittleEndian.Uint32(b[16:]),
		PID:          binary.LittleEndian.Uint32(b[20:]),
		Token:        string(bytes.TrimRight(b[32:32+length], "\x00")),
	}, nil
}

// AppendHello appends the bytes of h. The token is at most TokenMax bytes.
func AppendHello(b []byte, h Hello) ([]byte, error) {
	if len(h.Token) > TokenMax {
		return b, fmt.Errorf("%w: token of %d bytes, at most %d", ErrHello, len(h.Token), TokenMax)
	}
	var out [HelloSize]byte
	binary.LittleEndian.PutUint64(out[0:], Magic)
	binary.LittleEndian.PutUint64(out[8:], h.ProtocolHash)
	binary.LittleEndian.PutUint32(out[16:], h.APIVersion)
	binary.LittleEndian.PutUint32(out[20:], h.PID)
	binary.LittleEndian.PutUint32(out[24:], uint32(len(h.Token)))
	copy(out[32:], h.Token)
	return append(b, out[:]...), nil
}

// WriteRefusal ends a greeting with a message for a person. A longer message is
// cut at RefusalMax bytes.
func WriteRefusal(w io.Writer, message string) error {
	if len(message) > RefusalMax {
		message = message[:RefusalMax]
	}
	b := make([]byte, WelcomeSize, WelcomeSize+len(message))
	binary.LittleEndian.PutUint64(b[0:], Magic)
	binary.LittleEndian.PutUint32(b[8:], answerRefused)
	binary.LittleEndian.PutUint32(b[12:], uint32(len(message)))
	if _, err := w.Write(append(b, message...)); err != nil {
		return fmt.Errorf("refusing a session: %w", err)
	}
	return nil
}

// Welcome accepts a Session. The segment's and the arena's descriptors travel
// beside it.
type Welcome struct {
	// Devices is how many there are, 1 to DevicesMax.
	Devices    int
	ArenaBytes uint64
	// CreditBytes is what the shim may allocate of each device before it must ask.
	CreditBytes uint64
	// ArenaAddress is where the worker has mapped the arena, or 0. A shim that maps
	// it there too may use the device's shared virtual memory.
	ArenaAddress uint64
}

// AppendWelcome appends the bytes of w.
func AppendWelcome(b []byte, w Welcome) []byte {
	b = binary.LittleEndian.AppendUint64(b, Magic)
	b = binary.LittleEndian.AppendUint32(b, answerWelcome)
	b = binary.LittleEndian.AppendUint32(b, uint32(w.Devices))
	b = binary.LittleEndian.AppendUint64(b, w.ArenaBytes)
	b = binary.LittleEndian.AppendUint64(b, w.CreditBytes)
	return binary.LittleEndian.AppendUint64(b, w.ArenaAddress)
}

// ParseWelcome reads the answer to a Hello. A Refusal is an error with what it says.
func ParseWelcome(b []byte) (Welcome, error) {
	if len(b) < WelcomeSize || binary.LittleEndian.Uint64(b) != Magic {
		return Welcome{}, fmt.Errorf("%w: an answer of %d bytes", ErrHello, len(b))
	}
	if kind := binary.LittleEndian.Uint32(b[8:]); kind != answerWelcome {
		return Welcome{}, fmt.Errorf("%w: refused: %s", ErrHello, b[WelcomeSize:])
	}
	return Welcome{
		Devices:      int(binary.LittleEndian.Uint32(b[12:])),
		ArenaBytes:   binary.LittleEndian.Uint64(b[16:]),
		CreditBytes:  binary.LittleEndian.Uint64(b[24:]),
		ArenaAddress: binary.LittleEndian.Uint64(b[32:]),
	}, nil
}
