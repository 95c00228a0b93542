package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// annotationName is where containerd looks for an image's whole name; the OCI annotation may hold a tag alone.
const annotationName = "io.containerd.image.name"

func imageConfig(p *program, entrypoint []string, user string) ocispec.Image {
	if user == "" {
		user = fmt.Sprintf("%d:%d", User, User)
	}
	return ocispec.Image{
		Platform: ocispec.Platform{OS: "linux", Architecture: architectures[p.machine]},
		Config: ocispec.ImageConfig{
			User: user, Entrypoint: entrypoint, WorkingDir: "/",
			Env: []string{"PATH=" + Folder + ":/usr/local/bin:/usr/bin:/bin"},
		},
	}
}

// writeArchive writes the layer to a temporary file first: its digest comes before it in the archive.
func writeArchive(ctx context.Context, w io.Writer, name string, config ocispec.Image, entries []entry) error {
	layer, err := os.CreateTemp("", "sluice-layer-")
	if err != nil {
		return err
	}
	defer layer.Close()
	if err := os.Remove(layer.Name()); err != nil { // gone with its last descriptor
		return err
	}
	digester := digest.Canonical.Digester()
	if err := writeLayer(writerUntil{ctx, io.MultiWriter(layer, digester.Hash())}, entries); err != nil {
		return err
	}
	size, err := layer.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = layer.Seek(0, io.SeekStart)
	}
	if err != nil {
		return err
	}
	// The layer is not compressed: it goes to this machine's containerd, which would only unpack it again.
	described := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digester.Digest(), Size: size}
	config.RootFS = ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{described.Digest}}
	archive := tar.NewWriter(writerUntil{ctx, w})
	if err := writeLayout(archive, name, config, described); err != nil {
		return err
	}
	if err := addFile(archive, blobPath(described.Digest), size, layer); err != nil {
		return err
	}
	return archive.Close()
}

// writeLayout writes everything of an OCI image layout but the layer.
func writeLayout(archive *tar.Writer, name string, config ocispec.Image, layer ocispec.Descriptor) error {
	configBlob, err := json.Marshal(config)
	if err != nil {
		return err
	}
	manifestBlob, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: descriptor(ocispec.MediaTypeImageConfig, configBlob), Layers: []ocispec.Descriptor{layer},
	})
	if err != nil {
		return err
	}
	described := descriptor(ocispec.MediaTypeImageManifest, manifestBlob)
	described.Platform = &config.Platform
	described.Annotations = map[string]string{annotationName: name, ocispec.AnnotationRefName: name}
	index, err := json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{described},
	})
	if err != nil {
		return err
	}
	layout, err := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name    string
		content []byte
	}{
		{ocispec.ImageLayoutFile, layout},
		{ocispec.ImageIndexFile, index},
		{blobPath(described.Digest), manifestBlob},
		{blobPath(digest.FromBytes(configBlob)), configBlob},
	} {
		if err := addFile(archive, file.name, int64(len(file.content)), bytes.NewReader(file.content)); err != nil {
			return err
		}
	}
	return nil
}

func descriptor(mediaType string, blob []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(blob), Size: int64(len(blob))}
}

func blobPath(d digest.Digest) string {
	return ocispec.ImageBlobsDir + "/" + d.Algorithm().String() + "/" + d.Encoded()
}

func addFile(archive *tar.Writer, name string, size int64, content io.Reader) error {
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, Typeflag: tar.TypeReg}); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if _, err := io.Copy(archive, content); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// writerUntil stops writing when its context ends.
type writerUntil struct {
	ctx context.Context
	w   io.Writer
}

func (w writerUntil) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.w.Write(p)
}
