package rest

import (
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"sluice/proto/tensorjson"
)

// encoding is a compression of HTTP (RFC 9110, section 8.4.1).
type encoding struct {
	compress func(io.Writer) io.WriteCloser
	expand   func(io.Reader) (io.ReadCloser, error)
}

// encodings are those that tritonclient can ask for; "deflate" is zlib's format.
var encodings = map[string]encoding{
	"gzip": {
		func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) },
	},
	"deflate": {
		func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
		zlib.NewReader,
	},
}

// acceptedEncoding is the first one that a client accepts and we know; empty: none.
func acceptedEncoding(header http.Header) string {
	for _, line := range header.Values("Accept-Encoding") {
		for _, offer := range strings.Split(line, ",") {
			name, parameter, _ := strings.Cut(offer, ";")
			name = strings.ToLower(strings.TrimSpace(name))
			if _, known := encodings[name]; known && !isZero(parameter) {
				return name
			}
		}
	}
	return ""
}

// isZero is true for a weight that forbids (RFC 9110, section 12.4.2).
func isZero(parameter string) bool {
	weight, found := strings.CutPrefix(strings.TrimSpace(parameter), "q=")
	value, err := strconv.ParseFloat(weight, 64)
	return found && err == nil && value == 0
}

func (d *door) infer(w http.ResponseWriter, r *http.Request) {
	headerBytes, err := headerLength(r.Header)
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	body, err := d.readBody(w, r)
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	request, form, err := tensorjson.ParseRequest(body, headerBytes, d.BodyBytesMax)
	if err != nil {
		d.refuse(w, r, failure{http.StatusBadRequest, err.Error()})
		return
	}
	request.ModelName, request.ModelVersion = r.PathValue("model"), r.PathValue("version")
	response, err := d.Service.ModelInfer(r.Context(), request)
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	answer, headerBytes, err := tensorjson.FormatResponse(response, form)
	// As Triton, answers of inference alone are compressed: its client for asyncio expands no others.
	encoding := acceptedEncoding(r.Header)
	w.Header().Set("Vary", "Accept-Encoding")
	switch {
	case errors.Is(err, tensorjson.ErrNoForm):
		d.refuse(w, r, failure{http.StatusBadRequest, err.Error()})
	case err != nil:
		d.refuse(w, r, err)
	case headerBytes == tensorjson.WholeBody:
		d.send(w, http.StatusOK, "application/json", encoding, answer)
	default:
		w.Header().Set(tensorjson.HeaderLength, strconv.Itoa(headerBytes))
		d.send(w, http.StatusOK, "application/octet-stream", encoding, answer)
	}
}

// headerLength is how many bytes of the body are JSON.
func headerLength(header http.Header) (int, error) {
	text := header.Get(tensorjson.HeaderLength)
	if text == "" {
		return tensorjson.WholeBody, nil
	}
	length, err := strconv.Atoi(text)
	if err != nil || length < 0 {
		return 0, failure{http.StatusBadRequest, fmt.Sprintf("header %s is %.32q, must be a number of bytes", tensorjson.HeaderLength, text)}
	}
	return length, nil
}

// readBody reads a body, and expands it, as far as it stays within the limit.
func (d *door) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limit := int64(d.BodyBytesMax)
	tooLarge := failure{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is over the limit of %d bytes", limit)}
	if r.ContentLength > limit {
		return nil, tooLarge
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	coming := d.Intake.Begin(func() {
		// One that knows no deadlines is a test's.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
		cancel()
	})
	defer coming.End()
	var body io.Reader = http.MaxBytesReader(w, r.Body, limit)
	if name := strings.ToLower(r.Header.Get("Content-Encoding")); name != "" && name != "identity" {
		known, ok := encodings[name]
		if !ok {
			return nil, failure{http.StatusUnsupportedMediaType, fmt.Sprintf("Content-Encoding is %.32q, must be gzip or deflate", name)}
		}
		expanded, err := known.expand(body)
		if err != nil {
			return nil, failure{http.StatusBadRequest, fmt.Sprintf("the body is not in Content-Encoding %s: %v", name, err)}
		}
		defer expanded.Close()
		body = io.LimitReader(expanded, limit+1)
		r.ContentLength = -1
	}
	content, err := readAll(body, r.ContentLength, func(bytes int) error { return coming.Hold(ctx, bytes) })
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over), int64(len(content)) > limit:
		return nil, tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded), ctx.Err() != nil && r.Context().Err() == nil:
		return nil, failure{http.StatusRequestTimeout, "the body came too slowly"}
	case err != nil:
		return nil, failure{http.StatusBadRequest, fmt.Sprintf("read the body: %v", err)}
	}
	return content, nil
}

// firstBytes is what a body is given before any of it has come: what a client says of its length costs it nothing.
const firstBytes = 64 << 10

// readAll reads to the end, and holds what it makes room for. A length that is known, as others are not, spares room beyond it.
func readAll(from io.Reader, length int64, hold func(bytes int) error) ([]byte, error) {
	room := int64(firstBytes)
	if length >= 0 {
		room = min(room, length+1)
	}
	if err := hold(int(room)); err != nil {
		return nil, err
	}
	content := make([]byte, 0, room)
	for {
		n, err := from.Read(content[len(content):cap(content)])
		content = content[:len(content)+n]
		if errors.Is(err, io.EOF) {
			return content, nil
		}
		if err != nil {
			return content, err
		}
		if len(content) < cap(content) {
			continue
		}
		if room *= 2; length >= 0 {
			room = min(room, length+1)
		}
		if err := hold(int(room)); err != nil {
			return content, err
		}
		larger := make([]byte, len(content), room)
		copy(larger, content)
		content = larger
	}
}
