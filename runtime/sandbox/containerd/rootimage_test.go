package containerd_test

import (
	"archive/tar"
	"bytes"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// withoutUser rewrites an archive of image.Build so that its program runs as root, as those of many images do.
func withoutUser(t *testing.T, archive io.Reader) io.Reader {
	t.Helper()
	files := make(map[string]string)
	for reader := tar.NewReader(archive); ; {
		header, err := reader.Next()
		if err == io.EOF {
			break
		}
		content, readErr := io.ReadAll(reader)
		if err != nil || readErr != nil {
			t.Fatal(err, readErr)
		}
		files[header.Name] = string(content)
	}
	// The text keeps its length, so that only digests change: configuration, then manifest, then index.
	replacements := []string{`"User":"65534:65534"`, `"User":"00000:00000"`}
	for range 3 {
		for name, content := range maps.Clone(files) {
			changed := strings.NewReplacer(replacements...).Replace(content)
			if blob, isBlob := strings.CutPrefix(name, "blobs/sha256/"); isBlob && changed != content {
				delete(files, name)
				name = "blobs/sha256/" + digest.FromString(changed).Encoded()
				replacements = append(replacements, blob, digest.FromString(changed).Encoded())
			}
			files[name] = changed
		}
	}
	var out bytes.Buffer
	writer := tar.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content := files[name]
		err := writer.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))})
		if err == nil {
			_, err = io.WriteString(writer, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}
