// Package image makes an OCI image of a folder with a built program, and imports images into containerd. An image has the
// program's folder, the libraries that its ELF files link, the loader, and a minimal /etc: no shell, no package, no registry.
// The same folder and libraries give the same bytes.
package image

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Limits on what an image may hold.
const (
	FilesMax     = 100_000
	BytesMax     = 32 << 30 // of all files together
	LibrariesMax = 1_000
	NameBytesMax = 255
)

// User is the user id and group id that programs run with: Debian's nobody.
const User = 65534

// Folder is where the image holds the program's folder.
const Folder = "/app"

// ErrInvalid says that a folder, a manifest or a name cannot become an image; the text names what and why.
var ErrInvalid = errors.New("invalid image")

// ErrLibrary says that a library which a program links was not found on this machine.
var ErrLibrary = errors.New("library not found")

// ErrNotFound says that a registry has no image of a name.
var ErrNotFound = errors.New("image not found in its registry")

var namePattern = regexp.MustCompile(`^[a-z0-9]+([._/:-]{1,2}[a-zA-Z0-9]+)*(@sha256:[0-9a-f]{64})?$`)

// Name completes an image's name as users write it: without a tag or a digest it gets the tag latest.
func Name(name string) (string, error) {
	if len(name) > NameBytesMax || !namePattern.MatchString(name) {
		return "", fmt.Errorf("%w: name %.80q: lower case letters and digits, with . _ - / between them and :tag at the end, at most %d bytes",
			ErrInvalid, name, NameBytesMax)
	}
	if last := name[strings.LastIndexByte(name, '/')+1:]; !strings.ContainsAny(last, ":@") {
		return name + ":latest", nil
	}
	return name, nil
}
