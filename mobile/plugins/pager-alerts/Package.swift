// swift-tools-version: 5.9
import PackageDescription

// `PagerCore` knows no WebView: the notification service extension links it as well.
let package = Package(
    name: "PagerAlerts",
    platforms: [.iOS(.v15)],
    products: [
        .library(name: "PagerAlerts", targets: ["PagerAlertsPlugin"]),
        .library(name: "PagerCore", targets: ["PagerCore"])
    ],
    dependencies: [
        .package(url: "https://github.com/ionic-team/capacitor-swift-pm.git", from: "8.0.0")
    ],
    targets: [
        .target(name: "PagerCore", path: "ios/Sources/PagerCore"),
        .target(
            name: "PagerAlertsPlugin",
            dependencies: [
                "PagerCore",
                .product(name: "Capacitor", package: "capacitor-swift-pm"),
                .product(name: "Cordova", package: "capacitor-swift-pm")
            ],
            path: "ios/Sources/PagerAlertsPlugin"),
        .testTarget(name: "PagerCoreTests", dependencies: ["PagerCore"], path: "ios/Tests/PagerCoreTests")
    ]
)
