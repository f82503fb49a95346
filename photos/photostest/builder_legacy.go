package photostest

import (
	"cmp"
	_ "embed"
	"encoding/base64"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"lightfast/photos"
)

var (
	//go:embed builder_legacy_schema.sql
	legacySchema string
	//go:embed builder_legacy_indexes.sql
	legacyIndexes string
)

// generation is what a library's database is called, and what is in it.
type generation struct{ database, asset, schema, indexes string }

func (b *builder) generation() generation {
	if b.legacy {
		return generation{"photos.db", "RKVersion", legacySchema, legacyIndexes}
	}
	return generation{"Photos.sqlite", "ZASSET", schema, indexes}
}

// isLegacy reports whether the library at dir is one of Photos 4.
func isLegacy(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "database", "photos.db"))
	return err == nil
}

// nameLegacy gives the library its identity.
func (b *builder) nameLegacy() error {
	return b.insert("RKAdminData", row{"propertyArea": "database", "propertyName": "databaseUuid", "propertyValue": b.shortUUID("library"), "storedDataType": 2, "persistAfterRebuild": 1})
}

// shortUUID is 22 characters, as Photos 4 has them.
func (b *builder) shortUUID(names ...string) string {
	var u [16]byte
	b.noise(names...).Read(u[:])
	return strings.ReplaceAll(base64.RawStdEncoding.EncodeToString(u[:]), "/", "%")
}

// legacyAsset is an asset on its way into a library of Photos 4.
type legacyAsset struct {
	AssetSpec
	pk                      int64
	uuid, edit, group, path string
	taken                   float64
}

// addLegacy writes the files and rows of one asset.
func (b *builder) addLegacy(spec AssetSpec) (photos.AssetID, error) {
	b.last++
	a := legacyAsset{AssetSpec: spec, pk: b.last, uuid: b.shortUUID("asset", fmt.Sprint(b.last)), taken: 600_000_000 + float64(b.last)*60.25, edit: "UNADJUSTEDNONRAW"}
	ext := ".JPG"
	if a.Video {
		ext = ".MOV"
	}
	a.path = fmt.Sprintf("2020/01/07/20200107-%06d/%s", a.pk, a.Name) // others may have the same name
	if a.Name == "" {
		a.Name = fmt.Sprintf("IMG_%04d%s", a.pk, ext)
		a.path = fmt.Sprintf("2020/01/06/20200106-%06d/%s", 1+a.pk/500, a.Name)
	}
	a.group = b.shortUUID("import", a.uuid)
	if a.Edited {
		a.edit = b.shortUUID("edit", a.uuid)
	}
	if err := b.insert("RKImportGroup", row{"uuid": a.group, "name": "Jan 6, 2020", "importDate": a.taken + 3600, "isSynthesized": 0}); err != nil {
		return "", err
	}
	for _, add := range []func(*legacyAsset) error{b.addMasters, b.addVersion, b.addMade, b.addLegacyRelations} {
		if err := add(&a); err != nil {
			return "", err
		}
	}
	return photos.AssetID(a.uuid), nil
}

// addMasters writes the originals. Their keys are other numbers than those of
// versions: 2n for the picture, 2n+1 for the RAW half of a pair.
func (b *builder) addMasters(a *legacyAsset) error {
	uti := "public.jpeg"
	if a.Video {
		uti = "com.apple.quicktime-movie"
	}
	if err := b.addMaster(a, photos.RoleOriginal, a.pk*2, a.path, uti, a.Size); err != nil || !a.RAW {
		return err
	}
	raw := strings.TrimSuffix(a.path, path.Ext(a.path)) + ".cr2"
	return b.addMaster(a, photos.RoleRAW, a.pk*2+1, raw, "com.canon.cr2-raw-image", 0)
}

func (b *builder) masterUUID(a *legacyAsset, role photos.Role) string {
	return b.shortUUID("master", a.uuid, string(role))
}

func (b *builder) addMaster(a *legacyAsset, role photos.Role, key int64, name, uti string, size int64) error {
	reason := a.Absent[role]
	reference, missing, cloud, complete := false, true, false, true
	var volume any
	size = cmp.Or(size, 1000)
	fingerprint := ""
	switch reason {
	case "", photos.Lost:
		missing = false
		var err error
		if size, fingerprint, err = b.writeFile("Masters/"+name, size); err != nil {
			return err
		}
		if reason == photos.Lost {
			b.lost = append(b.lost, filepath.Join(b.dir, "Masters", filepath.FromSlash(name)))
		}
	case photos.ICloudOnly:
		cloud = true
	case photos.IncompleteImport:
		complete = false
	case photos.ReferencedOutside:
		reference, volume, name = true, 1, "Pictures/"+path.Base(name)
	case photos.Unavailable:
	default:
		return fmt.Errorf("a library of Photos 4 has no original that is %s", reason)
	}
	// A resource in iCloud makes its original one that is there as well.
	for _, r := range []photos.Role{photos.RoleLive, photos.RoleEdited, photos.RoleEditedLive} {
		cloud = cloud || a.Absent[r] == photos.ICloudOnly
	}
	base := path.Base(name)
	return b.insert("RKMaster", row{
		"modelId": key, "uuid": b.masterUUID(a, role), "fingerprint": text(fingerprint), "orientation": 1, "name": strings.TrimSuffix(base, path.Ext(base)),
		"createDate": a.taken + 3600, "isInTrash": flag(a.Trashed), "cloudLibraryState": flag(cloud), "hasBeenSynced": flag(cloud), "isCloudQuarantined": 0,
		"fileIsReference": flag(reference), "isMissing": flag(missing), "volumeId": volume, "fileSize": size, "width": 8, "height": 8, "UTI": uti,
		"importGroupUuid": a.group, "fileName": base, "originalFileName": base, "originalFileSize": size, "imagePath": name, "imageDate": a.taken,
		"isTrulyRaw": flag(role == photos.RoleRAW), "importedBy": 3, "importComplete": flag(complete), "imageTimeZoneOffsetSeconds": 7200,
	})
}

func (b *builder) addVersion(a *legacyAsset) error {
	original := b.masterUUID(a, photos.RoleOriginal)
	v := row{
		"modelId": a.pk, "uuid": a.uuid, "orientation": 1, "name": text(a.Title), "createDate": a.taken + 3600, "isFavorite": flag(a.Favorite),
		"isInTrash": flag(a.Trashed), "isHidden": flag(a.Hidden), "cloudLibraryState": 0, "fileIsReference": flag(a.Absent[photos.RoleOriginal] == photos.ReferencedOutside),
		"type": 2 + 6*flag(a.Video), "adjustmentUuid": a.edit, "hasAdjustments": flag(a.Edited), "lastModifiedDate": a.taken + 7200, "fileName": path.Base(a.path),
		"imageDate": a.taken, "imageTimeZoneOffsetSeconds": 7200, "imageTimeZoneName": "Europe/Berlin", "versionNumber": 1, "masterUuid": original, "masterId": a.pk * 2,
		"nonRawMasterUuid": original, "masterHeight": 8, "masterWidth": 8, "processedHeight": 8, "processedWidth": 8, "showInLibrary": 1, "hasKeywords": flag(len(a.Keywords) > 0),
		"subType": 32, "specialType": 5 * flag(a.Live), "burstPickType": 0, "extendedDescription": text(a.Description), "selfPortrait": 0,
	}
	if a.RAW {
		v["rawMasterUuid"] = b.masterUUID(a, photos.RoleRAW)
		if !a.Live {
			v["specialType"] = 7
		}
	}
	if a.Edited {
		if err := b.insert("RKAdjustmentData", row{"uuid": a.edit, "versionId": a.pk, "data": []byte(recipe), "originator": "com.apple.photos", "format": "com.apple.photo", "formatVersion": "1.4"}); err != nil {
			return err
		}
	}
	return b.insert("RKVersion", v)
}

// addMade writes what Photos made, or took apart: the film of a Live Photo
// and the files of an edit.
func (b *builder) addMade(a *legacyAsset) error {
	if a.Live {
		if err := b.addResource(a, photos.RoleLive, 1, a.pk*2, 7, "master", "jpegvideocomplement_", ".mov"); err != nil {
			return err
		}
	}
	if !a.Edited {
		return nil
	}
	kind, ext := 4, ".jpeg"
	if a.Video {
		kind, ext = 8, ".mov"
	}
	if err := b.addResource(a, photos.RoleEdited, 2, a.pk, kind, "version", "fullsizeoutput_", ext); err != nil || !a.Live {
		return err
	}
	return b.addResource(a, photos.RoleEditedLive, 2, a.pk, 8, "version", "videocomplementoutput_", ".mov")
}

func (b *builder) addResource(a *legacyAsset, role photos.Role, attachedType int, attached int64, kind int, folder, prefix, ext string) error {
	reason := a.Absent[role]
	if reason == photos.RenderNeverMade {
		return nil
	}
	key := a.pk*4 + map[photos.Role]int64{photos.RoleLive: 0, photos.RoleEdited: 1, photos.RoleEditedLive: 2}[role]
	uti := map[string]string{".jpeg": "public.jpeg", ".mov": "com.apple.quicktime-movie"}[ext]
	name := fmt.Sprintf("resources/media/%s/%02x/%02x/%s%x%s", folder, key>>8&0xFF, key>>16, prefix, key, ext)
	if reason == "" {
		if _, _, err := b.writeFile(name, 0); err != nil {
			return err
		}
	}
	return b.insert("RKModelResource", row{
		"modelId": key, "UTI": uti, "isOnDisk": flag(reason == "" || reason == photos.Lost), "attachedModelId": attached, "attachedModelType": attachedType,
		"resourceType": kind, "resourceTag": a.edit, "resourceIsReference": 0,
	})
}

func (b *builder) addLegacyRelations(a *legacyAsset) error {
	for _, name := range a.Albums {
		album, uuid, err := b.legacyAlbum(name)
		if err == nil {
			err = b.insert("RKAlbumVersion", row{"versionId": a.pk, "albumId": album})
		}
		if err == nil {
			err = b.insert("RKCustomSortOrder", row{"containerUuid": uuid, "objectUuid": a.uuid, "orderNumber": a.pk * 1024})
		}
		if err != nil {
			return err
		}
	}
	for _, name := range a.Keywords {
		keyword, err := b.key("RKKeyword", "name", name, row{"uuid": b.shortUUID("keyword", name), "name": name, "searchName": name})
		if err == nil {
			err = b.insert("RKKeywordForVersion", row{"versionId": a.pk, "keywordId": keyword})
		}
		if err != nil {
			return err
		}
	}
	for i, name := range a.Persons {
		person, err := b.key("RKPerson", "name", name, row{"uuid": b.shortUUID("person", name), "name": name, "displayName": name, "personType": 0, "faceCount": 1})
		if err == nil {
			err = b.insert("RKFace", row{"uuid": b.shortUUID("face", a.uuid, name), "isInTrash": 0, "personId": person, "imageModelId": a.pk, "hidden": 0, "manual": 0,
				"sourceWidth": 8, "sourceHeight": 8, "centerX": 0.25 * float64(i+1), "centerY": 0.25, "size": 0.125})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// legacyAlbum returns the key and the UUID of an album, and makes it and the
// folders around it if need be.
func (b *builder) legacyAlbum(name string) (key int64, uuid string, err error) {
	in, title := path.Split(name)
	folder, err := b.legacyFolder(strings.TrimSuffix(in, "/"))
	if err != nil {
		return 0, "", err
	}
	uuid = b.shortUUID("album", name)
	key, err = b.key("RKAlbum", "uuid", uuid, row{"uuid": uuid, "albumType": 1, "albumSubclass": 3, "name": title, "folderUuid": folder, "isInTrash": 0, "isMagic": 0})
	return key, uuid, err
}

func (b *builder) legacyFolder(name string) (uuid string, err error) {
	if name == "" {
		return "TopLevelAlbums", nil
	}
	in, title := path.Split(name)
	parent, err := b.legacyFolder(strings.TrimSuffix(in, "/"))
	if err != nil {
		return "", err
	}
	uuid = b.shortUUID("folder", name)
	_, err = b.key("RKFolder", "uuid", uuid, row{"uuid": uuid, "name": title, "parentFolderUuid": parent, "folderType": 1, "isInTrash": 0, "isMagic": 0})
	return uuid, err
}
