//! Files: kept by their content, cut out of what comes in, filled into what goes out.

use super::*;
use tempfile::TempDir;

const PDF: &[u8] = b"%PDF-1.7 xin ch\xc3\xa0o";

fn shelf() -> (TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(Some(folder.path().join("files")), Some("https://bus.example.vn/"));
    (folder, files)
}

fn head(hash: &str) -> &str {
    hash.split_at(2).0
}

fn places(texts: &[&str]) -> Vec<Place> {
    texts.iter().map(|text| Place::parse(text).unwrap()).collect()
}

#[test]
fn bytes_are_kept_once_and_come_back_by_their_hash() {
    let (folder, files) = shelf();
    let reference = files.put(PDF).unwrap();
    assert_eq!(files.put(PDF).unwrap(), reference);
    let hash = hex::encode(Sha256::digest(PDF));
    assert_eq!(
        reference,
        json!({"$file": hash, "size": 18, "type": "application/pdf"})
    );
    assert_eq!(files.read(&hash).unwrap(), PDF);
    let kept: Vec<_> = fs::read_dir(folder.path().join("files").join(head(&hash)))
        .unwrap()
        .collect();
    assert_eq!(kept.len(), 1);
}

#[test]
fn links_are_made_of_a_list_of_files_in_one_text() {
    let (_folder, files) = shelf();
    let hash = files.put(PDF).unwrap()[HASH].as_str().unwrap().to_owned();
    let record = json!({
        "links": {LINKS: [{LINK: hash, "name": "Phiếu.pdf"}, "https://kho.example.vn/2.pdf"], "between": "##"},
        "bytes": {BASE64: hash},
    });
    let link = format!("https://bus.example.vn/files/{hash}/Phi%E1%BA%BFu.pdf##https://kho.example.vn/2.pdf");
    let filled = files.fill(&record).unwrap();
    assert_eq!(filled, json!({"links": link, "bytes": STANDARD.encode(PDF)}));
    assert_eq!(
        files.linked(&record),
        json!({"links": link, "bytes": {BASE64: hash}})
    );
}

#[test]
fn missing_and_altered_files_are_told_apart_and_an_altered_one_is_mended_when_it_comes_again() {
    let (folder, files) = shelf();
    let reference = files.put(PDF).unwrap();
    let hash = reference["$file"].as_str().unwrap();
    let path = folder.path().join("files").join(head(hash)).join(hash);
    fs::write(&path, b"%PDF-1.7 khac").unwrap();
    assert_eq!(files.read(hash).unwrap_err().code, "file-altered");
    assert_eq!(
        files.check(&json!({"a": [{"$link": hash}]})).unwrap_err().code,
        "file-altered"
    );
    files.put(PDF).unwrap();
    assert_eq!(files.check(&json!({"a": [{"$base64": hash}]})), Ok(()));
    fs::remove_file(path).unwrap();
    assert_eq!(files.read(hash).unwrap_err().code, "file-missing");
    for strange in ["../../etc/passwd", "", "ab", &"g".repeat(64), &"é".repeat(32)] {
        assert_eq!(files.read(strange).unwrap_err().code, "file-missing", "{strange}");
    }
    assert_eq!(Files::new(None, None).put(PDF).unwrap_err().code, "files-nowhere");
}

#[test]
fn what_a_dead_writer_left_is_swept_away_and_a_living_one_is_not_disturbed() {
    let (folder, files) = shelf();
    files.sweep().unwrap();
    let reference = files.put(PDF).unwrap();
    let coming = folder.path().join("files").join(COMING);
    for (name, age) in [
        ("old", ABANDONED + Duration::from_secs(9)),
        ("new", Duration::ZERO),
    ] {
        let file = File::create(coming.join(name)).unwrap();
        let made = file.metadata().unwrap().modified().unwrap();
        file.set_modified(made - age).unwrap();
    }
    files.sweep().unwrap();
    let left: Vec<_> = fs::read_dir(coming)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["new"]);
    assert!(files.read(reference["$file"].as_str().unwrap()).is_ok());
    Files::new(None, None).sweep().unwrap();
}

#[test]
fn base64_is_cut_out_wherever_its_place_is() {
    let (_folder, files) = shelf();
    let text = STANDARD.encode(PDF);
    let (first, rest) = text.split_at(8);
    let broken = format!("data:application/pdf;base64,{first}\r\n{rest}");
    let mut value = json!({"tep": [{"noiDung": text, "ten": "a"}, {"noiDung": broken}, {"noiDung": ""}, {}], "anh": null});
    files
        .cut(&mut value, &places(&[".tep[].noiDung", ".anh", ".khong.co"]))
        .unwrap();
    let reference = files.put(PDF).unwrap();
    assert_eq!(
        value,
        json!({"tep": [{"noiDung": reference, "ten": "a"}, {"noiDung": reference}, {"noiDung": ""}, {}], "anh": null})
    );
    let has_file = places(&[".tep[].noiDung", ".tep[].ten", ".anh", ".tep.noiDung"]);
    let has_file: Vec<bool> = has_file.iter().map(|place| place.has_file(&value)).collect();
    assert_eq!(has_file, [true, false, false, false]);
    let mut bad = json!({"tep": [{"noiDung": "không phải base64"}]});
    files.cut(&mut bad, &places(&[".tep[].noiDung"])).unwrap();
    let fault = unspoilt(&bad).unwrap_err();
    assert_eq!(unspoilt(&value), Ok(()));
    assert_eq!(
        (fault.code.as_str(), fault.field.as_deref()),
        ("bad-file", Some(".tep[].noiDung"))
    );
    assert!(!fault.to_string().contains("không phải"));
}

#[test]
fn references_are_filled_in_on_the_way_out() {
    let (_folder, files) = shelf();
    let hash = files.put(PDF).unwrap()["$file"].as_str().unwrap().to_owned();
    let record = json!({"a": {"$link": hash, "name": "Đơn xin.pdf"}, "b": [{"$base64": hash}], "c": 1});
    let filled = files.fill(&record).unwrap();
    assert_eq!(
        filled,
        json!({
            "a": format!("https://bus.example.vn/files/{hash}/%C4%90%C6%A1n%20xin.pdf"),
            "b": [STANDARD.encode(PDF)], "c": 1,
        })
    );
    assert_eq!(
        files.fill(&json!({"$base64": "0".repeat(64)})).unwrap_err().code,
        "file-missing"
    );
}

#[test]
fn places_are_names_and_lists() {
    for text in [".a", ".a.b", ".a[].b", ".giấyTờ[].duLieu"] {
        assert_eq!(Place::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Place::parse(".[]").unwrap().to_string(), "[]");
    for text in ["a", ".", ".a.", ".a[0]", ".a[]b", ".a|b", ""] {
        assert_eq!(Place::parse(text), None, "{text}");
    }
}

#[test]
fn types_are_told_by_the_first_bytes() {
    assert_eq!(media_type(PDF), "application/pdf");
    assert_eq!(media_type(b"\xff\xd8\xff\xe0"), "image/jpeg");
    assert_eq!(media_type(b""), "application/octet-stream");
}
