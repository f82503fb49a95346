-- The part of a Photos 4 library (macOS 10.14, version 4025) that matters for a
-- backup, under the names and types that Photos gives it.
CREATE TABLE LiGlobals (modelId integer primary key, keyPath varchar, value varchar, blobValue blob);
CREATE TABLE LiStringAtom (modelId integer primary key, string varchar);
CREATE TABLE RKAdminData (
	modelId integer primary key autoincrement, propertyArea varchar, propertyName varchar, propertyValue varchar, blobPropertyValue blob,
	storedDataType integer, persistAfterRebuild integer);
CREATE TABLE RKVersion (
	modelId integer primary key autoincrement, uuid varchar, orientation integer, naturalDuration decimal, name varchar, createDate timestamp,
	isFavorite integer, isInTrash integer, inTrashDate timestamp, isHidden integer, colorLabelIndex integer, cloudLibraryState integer, hasBeenSynced
	integer, cloudIdentifier varchar, isCloudQuarantined integer, fileIsReference integer, type integer, adjustmentUuid varchar, lastModifiedDate
	timestamp, fileName varchar, hasNotes integer, imageDate timestamp, burstUuid varchar, imageTimeZoneOffsetSeconds integer, groupingUuid varchar,
	reverseLocationData blob, reverseLocationDataIsValid integer, versionNumber integer, masterUuid varchar, masterId integer, rawMasterUuid varchar,
	nonRawMasterUuid varchar, imageTimeZoneName varchar, mainRating integer, isFlagged integer, isEditable integer, masterHeight integer, masterWidth
	integer, processedHeight integer, processedWidth integer, hasAdjustments integer, overridePlaceId integer, latitude decimal, longitude decimal,
	exifLatitude decimal, exifLongitude decimal, renderVersion integer, supportedStatus integer, videoInPoint varchar, videoOutPoint varchar,
	videoPosterFramePoint varchar, showInLibrary integer, editState integer, contentVersion integer, propertiesVersion integer,
	faceDetectionIsFromPreview integer, faceDetectionRotationFromMaster integer, hasKeywords integer, subType integer, specialType integer,
	momentUuid varchar, burstPickType integer, extendedDescription varchar, outputUpToDate integer, previewsAdjustmentUuid varchar,
	pendingAdjustmentUuid varchar, faceAdjustmentUuid varchar, lastSharedDate timestamp, videoCpDurationValue integer, videoCpDurationTimescale
	integer, videoCpImageDisplayValue integer, videoCpImageDisplayTimescale integer, videoCpVisibilityState integer, colorSpaceValidationState
	integer, momentSortIdx integer, sceneAlgorithmVersion integer, sceneAdjustmentUuid varchar, graphProcessingState integer,
	mediaAnalysisProcessingState integer, mediaAnalysisData blob, mediaAnalysisVersion integer, statViewCount integer, statPlayCount integer,
	statShareCount integer, curationScore decimal, playbackStyle integer, playbackVariation integer, renderEffect integer, groupingState integer,
	cloudGroupingState integer, importMomentId integer, selfPortrait integer, syncFailureHidden integer, searchIndexInvalid integer, hdrGain decimal);
CREATE TABLE RKMaster (
	modelId integer primary key autoincrement, uuid varchar, fingerprint varchar, orientation integer, name varchar, createDate timestamp, isInTrash
	integer, inTrashDate timestamp, cloudLibraryState integer, hasBeenSynced integer, isCloudQuarantined integer, fileIsReference integer, isMissing
	integer, duration decimal, fileModificationDate timestamp, bookmarkId integer, volumeId integer, fileSize integer, width integer, height integer,
	UTI varchar, importGroupUuid varchar, alternateMasterUuid varchar, originalVersionName varchar, fileName varchar, isExternallyEditable integer,
	isTrulyRaw integer, hasAttachments integer, hasNotes integer, imagePath varchar, imageDate timestamp, fileCreationDate timestamp,
	originalFileName varchar, originalFileSize integer, importedBy integer, originatingAssetIdentifier varchar, burstUuid varchar, importComplete
	integer, imageTimeZoneOffsetSeconds integer, photoStreamTagId varchar, mediaGroupId varchar, hasCheckedMediaGroupId integer, groupingUuid
	varchar, cloudImportedBy integer);
CREATE TABLE RKModelResource (
	modelId integer primary key autoincrement, UTI varchar, isOnDisk integer, attachedModelId integer, attachedModelType integer, resourceType
	integer, resourceTag varchar, resourceIsReference integer);
CREATE TABLE RKAdjustmentData (
	modelId integer primary key autoincrement, uuid varchar, versionId integer, data blob, originator varchar, format varchar, formatVersion varchar,
	fingerprint varchar, orientation integer, editSource integer, naturalDuration decimal, renderTypes integer);
CREATE TABLE RKAlbum (
	modelId integer primary key autoincrement, uuid varchar, albumType integer, albumSubclass integer, name varchar, folderUuid varchar,
	queryFolderUuid varchar, posterVersionUuid varchar, selectedTrackPathUuid varchar, sortKeyPath varchar, sortAscending integer,
	customSortAvailable integer, createDate timestamp, isFavorite integer, isInTrash integer, inTrashDate timestamp, isHidden integer, isMagic
	integer, colorLabelIndex integer, faceSortKeyPath varchar, recentUserChangeDate timestamp, filterData blob, queryData blob, isPinned integer,
	cloudLibraryState integer, hasBeenSynced integer, cloudIdentifier varchar, isCloudQuarantined integer, projectExtensionIdentifier varchar,
	projectDocumentType varchar, projectExtensionRenderedPreviewUuid varchar);
CREATE TABLE RKAlbumVersion (modelId integer primary key autoincrement, versionId integer, albumId integer);
CREATE TABLE RKFolder (
	modelId integer primary key autoincrement, uuid varchar, name varchar, posterVersionUuid varchar, sortKeyPath varchar, sortAscending integer,
	createDate timestamp, isFavorite integer, isInTrash integer, inTrashDate timestamp, isHidden integer, isMagic integer, colorLabelIndex integer,
	cloudLibraryState integer, hasBeenSynced integer, cloudIdentifier varchar, isCloudQuarantined integer, folderType integer, parentFolderUuid
	varchar, implicitAlbumUuid varchar, automaticallyGenerateFullSizePreviews integer, minImageTimeZoneName varchar, maxImageTimeZoneName varchar,
	minImageDate timestamp, maxImageDate timestamp, folderPath varchar, isExpanded integer, isHiddenWhenEmpty integer);
CREATE TABLE RKCustomSortOrder (modelId integer primary key autoincrement, containerUuid varchar, objectUuid varchar, orderNumber integer);
CREATE TABLE RKKeyword (
	modelId integer primary key autoincrement, uuid varchar, name varchar, searchName varchar, hasChildren integer, shortcut varchar);
CREATE TABLE RKKeywordForVersion (modelId integer primary key autoincrement, versionId integer, keywordId integer);
CREATE TABLE RKFace (
	modelId integer primary key autoincrement, uuid varchar, isInTrash integer, personId integer, hasBeenSynced integer, adjustmentUuid varchar,
	imageModelId integer, sourceWidth integer, sourceHeight integer, centerX decimal, centerY decimal, size decimal, leftEyeX decimal, leftEyeY
	decimal, rightEyeX decimal, rightEyeY decimal, mouthX decimal, mouthY decimal, hidden integer, manual integer, hasSmile integer, blurScore
	decimal, isLeftEyeClosed integer, isRightEyeClosed integer, nameSource integer, poseRoll decimal, poseYaw decimal, posePitch decimal,
	faceAlgorithmVersion integer, expressionConfidence decimal, expressionType1 integer, expressionType2 integer, expressionType3 integer,
	expressionScore1 decimal, expressionScore2 decimal, expressionScore3 decimal, qualityMeasure integer, clusterSequenceNumber integer,
	syncPropertyModifiedDate timestamp, faceGroupId integer, confirmedFaceCropGenerationState integer, faceType integer, trainingType integer,
	cloudNameSource integer, personUuid varchar);
CREATE TABLE RKPerson (
	modelId integer primary key autoincrement, uuid varchar, name varchar, cloudLibraryState integer, hasBeenSynced integer, cloudIdentifier varchar,
	isCloudQuarantined integer, representativeFaceId integer, manualOrder integer, personType integer, personUri varchar, isInPersonNamingModel
	integer, isVerified integer, associatedClusterId integer, faceCount integer, displayName varchar, verifiedType integer, mergeTargetPersonId
	integer, pendingMergeTargetPersonCloudIdentifier varchar);
CREATE TABLE RKPlace (
	modelId integer primary key autoincrement, uuid varchar, modDate timestamp, createDate timestamp, type integer, defaultName varchar,
	recordLocator integer, userDefined integer, providerId varchar, providerVersion integer, minLongitude decimal, maxLongitude decimal, minLatitude
	decimal, maxLatitude decimal, countryCode varchar, centroid varchar, area decimal);
CREATE TABLE RKPlaceForVersion (modelId integer primary key autoincrement, versionId integer, placeId integer);
CREATE TABLE RKImportGroup (modelId integer primary key autoincrement, uuid varchar, name varchar, importDate timestamp, isSynthesized integer);
CREATE TABLE RKVolume (
	modelId integer primary key autoincrement, uuid varchar, modDate timestamp, name varchar, createDate timestamp, bookmarkId integer, diskUuid
	varchar, label varchar, isOffline integer, bookmarkSSBId integer);
CREATE TABLE RKCloudResource (
	modelId integer primary key autoincrement, fingerprint varchar, associatedModelType integer, identifier varchar, type integer, available integer,
	status integer, fileSize integer, width integer, height integer, lastAccessDate timestamp, pinnedUntilDate timestamp, UTI integer,
	transientFilePath varchar, isOnDisk integer, adjustmentUuid varchar, baseScore integer, isFullSizeOutput integer);
CREATE TABLE RKAttachment (
	modelId integer primary key autoincrement, uuid varchar, isInTrash integer, inTrashDate timestamp, attachedToClassType integer, attachedToUuid
	varchar, propertyKey varchar, filename varchar, fileIsReference integer, isMissing integer, duration decimal, fileModificationDate timestamp,
	filePath varchar, fileAliasData blob, propertiesData blob, bookmarkId integer, volumeId integer);
CREATE TABLE RKVersion_stringNote (keyPath integer, value varchar, attachedToId integer, primary key (attachedToId, keyPath));
CREATE TABLE RKVersion_stringAtomNote (keyPath integer, value integer, attachedToId integer, primary key (attachedToId, keyPath));
CREATE TABLE RKVersion_integerNote (keyPath integer, value integer, attachedToId integer, primary key (attachedToId, keyPath));
CREATE TABLE RKVersion_decimalNote (keyPath integer, value decimal, attachedToId integer, primary key (attachedToId, keyPath));
INSERT INTO LiGlobals (modelId, keyPath, value) VALUES (1, 'metaSchemaVersion', '2'), (2, 'libraryVersion', '4025'), (3, 'libraryCompatibleBackToVersion', '4025'), (5, 'libraryType', '0');
INSERT INTO LiStringAtom VALUES (619, 'exifApertureValue'), (648, 'exifFocalLength'), (664, 'exifISOSpeedRating'), (669, 'exifLensModel'), (671, 'exifMake'), (676, 'exifModel'), (693, 'exifShutterSpeed'),
	(804, 'Apple'), (805, 'iPhone 6s'), (806, 'iPhone 6s back camera 4.15mm f/2.2');
INSERT INTO RKFolder (modelId, uuid, name, isInTrash, isMagic, folderType, parentFolderUuid, folderPath) VALUES
	(1, 'LibraryFolder', '', 0, 1, 1, NULL, '1/'), (2, 'TopLevelAlbums', 'TopLevelAlbums', 0, 1, 1, 'LibraryFolder', '1/2/'), (3, 'TrashFolder', 'Trash', 0, 1, 1, 'LibraryFolder', '1/3/');
INSERT INTO RKAlbum (modelId, uuid, albumType, albumSubclass, name, folderUuid, isInTrash, isMagic) VALUES
	(1, 'libraryFolderImplicitAlbum', 1, 1, NULL, 'LibraryFolder', 0, 0), (2, 'trashAlbum', 1, 2, 'Trash', 'TrashFolder', 0, 1), (3, 'printAlbum', 1, 3, 'printAlbum', 'LibraryFolder', 0, 1);
INSERT INTO RKVolume (modelId, uuid, name, isOffline) VALUES (1, 'igspRHsJTQaaw0sL8%Nj8Q', 'Elsewhere', 0);
