package image_test

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/client"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"sluice/runtime/image"
	"sluice/runtime/sandbox/containerd/containerdtest"
)

// testUser and testPassword are what the test's registry asks for.
const testUser, testPassword = "somebody", "secret"

// startRegistry serves a registry on this machine and returns its address.
func startRegistry(t *testing.T, protected bool) string {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if protected && (r.Method == http.MethodGet || r.Method == http.MethodHead) && (user != testUser || password != testPassword) {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// push builds an image of a program and puts it into the registry.
func push(t *testing.T, reference string, options ...remote.Option) {
	t.Helper()
	dir := t.TempDir()
	compile(t, filepath.Join(dir, "program"), simple)
	archive, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	unpacked := t.TempDir()
	each(t, archive, func(header *tar.Header, content []byte) {
		write(t, filepath.Join(unpacked, header.Name), string(content))
	})
	index, err := layout.ImageIndexFromPath(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	made, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := name.ParseReference(reference)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(parsed, made, options...); err != nil {
		t.Fatal(err)
	}
}

func startContainerd(t *testing.T) *client.Client {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "sluice-pull-") // short, for the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	daemon, err := containerdtest.Start(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := daemon.Stop(); err != nil {
			t.Error(err)
		}
	})
	connected, err := client.New(daemon.Address, client.WithDefaultNamespace("sluice-test"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connected.Close() })
	return connected
}

func TestPull(t *testing.T) {
	containers := startContainerd(t)
	open, protected := startRegistry(t, false), startRegistry(t, true)
	push(t, open+"/test/program:v1")
	push(t, protected+"/program", remote.WithAuth(&authn.Basic{Username: testUser, Password: testPassword}))

	t.Run("image", func(t *testing.T) {
		var doneBytes, totalBytes int64
		pulled, err := image.Pull(t.Context(), containers, image.Source{
			Name: open + "/test/program:v1", Progress: func(done, total int64) { doneBytes, totalBytes = done, total },
		})
		if err != nil {
			t.Fatal(err)
		}
		if pulled.Name != open+"/test/program:v1" || doneBytes == 0 || doneBytes != totalBytes {
			t.Errorf("pulled %+v, %d of %d bytes", pulled, doneBytes, totalBytes)
		}
		for _, called := range []string{pulled.Name, pulled.Pinned} {
			found, err := containers.GetImage(t.Context(), called)
			if err != nil {
				t.Fatal(err)
			}
			if unpacked, err := found.IsUnpacked(t.Context(), pulled.Snapshotter); err != nil || !unpacked {
				t.Errorf("%s: unpacked %v, %v", called, unpacked, err)
			}
		}
	})
	t.Run("login", func(t *testing.T) {
		source := image.Source{Name: protected + "/program"}
		if _, err := image.Pull(t.Context(), containers, source); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("without a login: %v", err)
		}
		source.Username, source.Password = testUser, testPassword
		pulled, err := image.Pull(t.Context(), containers, source)
		if err != nil || pulled.Name != protected+"/program:latest" {
			t.Errorf("pulled %+v, %v", pulled, err)
		}
	})
	t.Run("missing", func(t *testing.T) {
		if _, err := image.Pull(t.Context(), containers, image.Source{Name: open + "/test/none"}); !errors.Is(err, image.ErrNotFound) {
			t.Errorf("error %v, want that it was not found", err)
		}
	})
	t.Run("name", func(t *testing.T) {
		if _, err := image.Pull(t.Context(), containers, image.Source{Name: "No Name"}); !errors.Is(err, image.ErrInvalid) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := image.Pull(ctx, containers, image.Source{Name: open + "/test/program:v1"}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}
