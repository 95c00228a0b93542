package gateway

import (
	"compress/zlib"
	"io"
	"sync"

	"google.golang.org/grpc/encoding"
)

// deflate is gRPC's compression of that name, zlib's format (RFC 1950), which Triton's clients offer beside gzip.
type deflate struct{ writers sync.Pool }

func init() { encoding.RegisterCompressor(new(deflate)) }

// Name implements encoding.Compressor.
func (*deflate) Name() string { return "deflate" }

// deflateWriter goes back to its pool when it is closed.
type deflateWriter struct {
	*zlib.Writer
	pool *sync.Pool
}

func (w *deflateWriter) Close() error {
	defer w.pool.Put(w)
	return w.Writer.Close()
}

// Compress implements encoding.Compressor.
func (d *deflate) Compress(to io.Writer) (io.WriteCloser, error) {
	w, ok := d.writers.Get().(*deflateWriter)
	if !ok {
		return &deflateWriter{zlib.NewWriter(to), &d.writers}, nil
	}
	w.Reset(to)
	return w, nil
}

// Decompress implements encoding.Compressor.
func (*deflate) Decompress(from io.Reader) (io.Reader, error) { return zlib.NewReader(from) }
